"""Runs the model: tokens in, vectors out. Encoders are safe to share between threads."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from server.encoding.manifest import Layout
from server.encoding.native.encoder import NativeEncoder, open_native
from server.encoding.packed import WEIGHTS_SUFFIX, PackedEncoder
from server.encoding.session import OUTPUT, open_session


class PaddedEncoder:
    """An encoder of the padded layout: graphs of optimum's exporter, over `input_ids` and `attention_mask` `[N, L]`.

    They are run one text at a time, whatever the batch. Their dynamic INT8 takes one scale over the whole run
    (onnxruntime issue 10111), so that a text's vector would depend on its neighbours; and padding texts of mixed length
    costs more than the shared run saves (all-MiniLM-L6-v2, Banking77 queries, one thread: 378 texts a second alone, 308
    padded by eights).
    """

    name = "onnxruntime"

    def __init__(self, path: Path) -> None:
        self._session, self.dimension = open_session(path, {"input_ids", "attention_mask"})

    def encode(self, texts: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """Returns the vectors `[N, dimension]` of N texts given as token ids."""
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        for row, ids in enumerate(texts):
            input_ids = np.array([ids], dtype=np.int64)
            inputs = {"input_ids": input_ids, "attention_mask": np.ones_like(input_ids)}
            vectors[row] = self._session.run([OUTPUT], inputs)[0][0]
        return vectors


Encoder = NativeEncoder | PackedEncoder | PaddedEncoder
"""A model, ready to run. A text's vector does not depend on the texts that it is encoded with."""


def open_encoder(path: Path, layout: Layout, *, native: bool = True) -> Encoder:
    """Opens the graph of a layout; in the native encoder where that can run it, unless `native` is False.

    Raises:
        BundleError: It is no such graph.
    """
    if layout == "padded":
        return PaddedEncoder(path)
    encoder = open_native(path.with_suffix(WEIGHTS_SUFFIX)) if native else None
    return encoder or PackedEncoder(path)
