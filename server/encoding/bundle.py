"""A bundle, opened: the manifest, the tokenizer and the encoder of one model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from server.encoding.encoder import open_encoder
from server.encoding.golden import GOLDEN_FILE, cosines, read_golden
from server.encoding.manifest import Manifest, check_files, read_manifest
from server.encoding.tokenizer import TextKind, Tokenizer
from server.errors import BundleError, first_line

MODEL_FILE = "query/model.onnx"
TOKENIZER_FILE = "query/tokenizer.json"


class Bundle:
    """The model that a server serves. Safe to share between threads."""

    def __init__(self, directory: Path) -> None:
        """Opens the bundle in `directory`.

        Raises:
            BundleError: It is missing, damaged or foreign.
        """
        self.directory = directory
        self.manifest: Manifest = read_manifest(directory)
        check_files(directory, self.manifest)
        for name in (MODEL_FILE, TOKENIZER_FILE, GOLDEN_FILE):
            if name not in self.manifest.files:
                raise BundleError(f"{directory} has no {name}; export the model again")
        self.tokenizer = Tokenizer(
            directory / TOKENIZER_FILE,
            prefixes={TextKind.QUERY: self.manifest.query_prefix, TextKind.DOCUMENT: self.manifest.document_prefix},
            max_tokens=self.manifest.max_tokens,
        )
        self.encoder = open_encoder(directory / MODEL_FILE, self.manifest.layout)
        if self.encoder.dimension != self.manifest.dimension:
            raise BundleError(
                f"{directory}: the model gives {self.encoder.dimension} dimensions, "
                f"the manifest says {self.manifest.dimension}; export the model again"
            )

    def verify(self) -> float:
        """Encodes the golden texts on this CPU; returns the worst cosine to their fp32 vectors. Warms the model up.

        Raises:
            BundleError: This CPU computes vectors that are too far off.
        """
        golden = read_golden(self.directory / GOLDEN_FILE, dimension=self.manifest.dimension)
        try:
            vectors = self.encode_texts([(each.text, each.kind) for each in golden])
        except Exception as error:  # ONNX Runtime has no common base for its errors.
            raise BundleError(
                f"{self.directory}: the model fails; export the model again ({first_line(error)})"
            ) from None
        worst = float(cosines(vectors, np.array([each.vector for each in golden], dtype=np.float32)).min())
        if not worst >= self.manifest.golden_cosine_floor:
            raise BundleError(
                f"{self.directory}: on this CPU the model is wrong: worst cosine to its golden vectors {worst:.4f}, "
                f"expected at least {self.manifest.golden_cosine_floor:.4f}; "
                "export it on this CPU, or with --quantization none"
            )
        return worst

    def encode_texts(self, texts: Sequence[tuple[str, TextKind]]) -> NDArray[np.float32]:
        """Returns the vectors `[N, dimension]` of N texts, cut where they are too long."""
        return self.encoder.encode([tokens.ids for tokens in self.tokenizer.tokenize(texts)])
