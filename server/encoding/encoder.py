"""Runs the model: tokens in, vectors out.

The graph of the padded layout is encoded one text a run, whatever the batch.
Its dynamic INT8 takes one scale over the whole batch (onnxruntime issue 10111), so
that a text's vector would depend on its neighbours; and padding texts of mixed
length costs more than the shared run saves (all-MiniLM-L6-v2, Banking77 queries,
one thread: 378 texts a second alone, 308 padded by eights).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from server.errors import BundleError, first_line

INPUTS = {"input_ids", "attention_mask"}
"""Names of the graph's inputs, both int64 `[N, L]`."""

OUTPUT = "sentence_embedding"
"""Name of the graph's output, the pooled vectors `[N, dimension]`."""


class Encoder:
    """One ONNX Runtime session. Safe to share between threads: each run takes one core."""

    def __init__(self, path: Path) -> None:
        options = onnxruntime.SessionOptions()
        # Workers run in parallel instead: two runs of one thread give more than one run of two threads.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Without VNNI the fast kernels add unsigned times signed bytes in 16 bits and saturate: wrong vectors,
        # silently. This takes the exact ones there and changes nothing elsewhere.
        options.add_session_config_entry("session.x64quantprecision", "1")
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), sess_options=options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # The library has no common base for its errors.
            raise BundleError(
                f"{path} is not a model that ONNX Runtime can load; export the model again ({first_line(error)})"
            ) from None
        inputs = {each.name for each in self._session.get_inputs()}
        outputs = {each.name: each.shape for each in self._session.get_outputs()}
        if inputs != INPUTS or OUTPUT not in outputs or not isinstance(outputs[OUTPUT][-1], int):
            raise BundleError(
                f"{path} takes {sorted(inputs)} and gives {outputs}, not {sorted(INPUTS)} and {OUTPUT} "
                "of a known dimension; export the model again"
            )
        self.dimension: int = outputs[OUTPUT][-1]

    def encode(self, texts: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """Returns the vectors `[N, dimension]` of N texts given as token ids, each independent of the others."""
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        for row, ids in enumerate(texts):
            input_ids = np.array([ids], dtype=np.int64)
            inputs = {"input_ids": input_ids, "attention_mask": np.ones_like(input_ids)}
            vectors[row] = self._session.run([OUTPUT], inputs)[0][0]
        return vectors
