"""An open tower: the tokenizer and the encoder of one side of a model, or of both sides."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from server.encoding.arrays import read_array
from server.encoding.center import CENTER_FILE, centered
from server.encoding.encoder import open_encoder
from server.encoding.kind import Side
from server.encoding.manifest import Manifest
from server.encoding.packed import WEIGHTS_SUFFIX
from server.encoding.segmenter import SENTENCEPIECE_FILE, TOKENIZER_FILE
from server.encoding.shortening import shortened
from server.encoding.tokenizer import Tokenizer
from server.errors import BundleError

MODEL_FILE = "model.onnx"
WEIGHTS_FILE = f"model{WEIGHTS_SUFFIX}"
"""Only in the packed layout."""

DATA_FILE = f"{MODEL_FILE}_data"
"""Only in the padded layout: the constants of a graph of more than 2 GB."""


def open_tokenizer(directory: Path, manifest: Manifest, side: Side) -> Tokenizer:
    """Returns the tokenizer of a side of a bundle; raises BundleError if its file is missing or of another format."""
    has_sentencepiece = f"{side.value}/{SENTENCEPIECE_FILE}" in manifest.files
    name = f"{side.value}/{SENTENCEPIECE_FILE if has_sentencepiece else TOKENIZER_FILE}"
    _check_file(directory, manifest, name)
    max_tokens = manifest.towers[side].max_tokens
    return Tokenizer(directory / name, prefixes=manifest.prefixes.by_kind(), max_tokens=max_tokens)


def _check_file(directory: Path, manifest: Manifest, name: str) -> None:
    if name not in manifest.files:
        raise BundleError(f"{directory} has no {name}; export the model again")


class Tower:
    """One encoder of a bundle and its tokenizer. Safe to share between threads."""

    def __init__(self, directory: Path, manifest: Manifest, side: Side, *, native: bool) -> None:
        """Opens the tower of a side of a bundle; raises BundleError if a file is missing or of another format."""
        folder, described = directory / side.value, manifest.towers[side]
        _check_file(directory, manifest, f"{side.value}/{MODEL_FILE}")
        self.tokenizer = open_tokenizer(directory, manifest, side)
        self.encoder = open_encoder(folder / MODEL_FILE, described.layout, native=native)
        center = f"{side.value}/{CENTER_FILE}"
        self.center = read_array(directory / center, shape=(manifest.dimension,)) if center in manifest.files else None
        self._dimension, self._unit_length = manifest.dimension, described.normalise
        if self.encoder.dimension < manifest.dimension:
            raise BundleError(
                f"{folder}: the model's vectors have {self.encoder.dimension} dimensions, "
                f"the manifest says {manifest.dimension}; export the model again"
            )

    def encode(self, texts: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """Returns the vectors `[N, dimension]` of N texts given as token ids.

        They are shortened to the bundle's dimension, and centered if the bundle has a center.
        """
        whole = self.encoder.encode(texts)
        return centered(shortened(whole, self._dimension, unit_length=self._unit_length), self.center)
