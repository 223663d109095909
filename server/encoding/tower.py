"""A tower, opened: the tokenizer and the encoder of one side of a model, or of both."""

from __future__ import annotations

from pathlib import Path

from server.encoding.encoder import Encoder, open_encoder
from server.encoding.manifest import Manifest
from server.encoding.packed import WEIGHTS_SUFFIX
from server.encoding.segmenter import SENTENCEPIECE_FILE, TOKENIZER_FILE
from server.encoding.tokenizer import TextKind, Tokenizer
from server.errors import BundleError

MODEL_FILE = "model.onnx"

WEIGHTS_FILE = f"model{WEIGHTS_SUFFIX}"
"""Only in the packed layout."""


class Tower:
    """One encoder of a bundle and its tokenizer. Safe to share between threads."""

    tokenizer: Tokenizer
    encoder: Encoder

    def __init__(self, directory: Path, manifest: Manifest, kind: TextKind, *, native: bool) -> None:
        """Opens the tower that was made for a kind of text, in the bundle's directory.

        Raises:
            BundleError: It is missing or foreign.
        """
        folder, described = directory / kind.value, manifest.towers[kind]
        of_sentencepiece = f"{kind.value}/{SENTENCEPIECE_FILE}" in manifest.files
        tokenizer = SENTENCEPIECE_FILE if of_sentencepiece else TOKENIZER_FILE
        for name in (MODEL_FILE, tokenizer):
            if f"{kind.value}/{name}" not in manifest.files:
                raise BundleError(f"{directory} has no {kind.value}/{name}; export the model again")
        self.tokenizer = Tokenizer(folder / tokenizer, prefixes=manifest.prefixes, max_tokens=described.max_tokens)
        self.encoder = open_encoder(folder / MODEL_FILE, described.layout, native=native)
        if self.encoder.dimension != manifest.dimension:
            raise BundleError(
                f"{folder}: the model gives {self.encoder.dimension} dimensions, "
                f"the manifest says {manifest.dimension}; export the model again"
            )
