"""Runs the model: tokens in, vectors out. One class for each layout of a graph."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from server.encoding.manifest import Layout
from server.encoding.native.encoder import open_native
from server.encoding.packed import WEIGHTS_SUFFIX, PackedEncoder
from server.encoding.padded import PaddedEncoder


class Encoder(Protocol):
    """A model, ready to run. Safe to share between threads."""

    name: str
    """`native` or `onnxruntime`."""

    dimension: int

    def encode(self, texts: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """Returns the vectors `[N, dimension]` of N texts given as token ids.

        A text's vector does not depend on the texts that it is encoded with.
        """


def open_encoder(path: Path, layout: Layout, *, native: bool = True) -> Encoder:
    """Opens the graph of a layout; in the native encoder where that can run it, unless `native` is False.

    Raises:
        BundleError: It is no such graph.
    """
    if layout == "padded":
        return PaddedEncoder(path)
    encoder = open_native(path.with_suffix(WEIGHTS_SUFFIX)) if native else None
    return encoder or PackedEncoder(path)
