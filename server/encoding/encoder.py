"""Runs the model on token ids. Encoders are safe to share between threads."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from server.encoding.manifest import Layout
from server.encoding.native.encoder import NativeEncoder, open_native
from server.encoding.packed import WEIGHTS_SUFFIX, PackedEncoder
from server.encoding.session import OUTPUT, open_session


class PaddedEncoder:
    """Encodes with the padded layout: graphs of optimum's exporter, over `input_ids` and `attention_mask` `[N, L]`.

    Each text is run alone, whatever the batch. The graph's dynamic INT8 uses one scale for a whole run (onnxruntime
    issue 10111), so a vector would depend on the other texts of the run. Padding texts of mixed length would also take
    longer than separate runs.
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
"""A loaded model. Each vector is bit-identical whatever texts are encoded with it."""


def open_encoder(path: Path, layout: Layout, *, native: bool = True) -> Encoder:
    """Opens the graph of a layout; `native` allows the native encoder. Raises BundleError if it is no such graph."""
    if layout == "padded":
        return PaddedEncoder(path)
    encoder = open_native(path.with_suffix(WEIGHTS_SUFFIX)) if native else None
    return encoder or PackedEncoder(path)
