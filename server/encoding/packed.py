"""The packed layout: the tokens of all texts of a run in one row, without padding.

`export.packed.graph` describes the graph's inputs. A run holds texts of similar length, up to a budget of tokens that
is small enough for the CPU's caches and large enough for fast matrix products.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from server.encoding.session import OUTPUT, open_session

INPUTS = {"input_ids", "position_ids", "unpack", "pack", "lengths"}

WEIGHTS_SUFFIX = ".safetensors"
"""The weights are in a file beside the graph, with the same name and this suffix."""

RUN_TOKENS = 128
"""Most tokens in a run, which has at least one text."""

WIDTH_MULTIPLE = 8
"""The width of unpacked texts is a multiple of this. Otherwise vector kernels would handle a text's last positions
separately in some runs only, and its vector would differ in the last bits."""


class PackedEncoder:
    """Encodes with the packed layout."""

    name = "onnxruntime"

    def __init__(self, path: Path, *, run_tokens: int = RUN_TOKENS) -> None:
        self._session, self.dimension = open_session(path, INPUTS)
        self._run_tokens = run_tokens

    def encode(self, texts: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """Returns the vectors `[N, dimension]` of N texts given as token ids; each is bit-identical in every batch."""
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        for rows in runs([len(text) for text in texts], run_tokens=self._run_tokens):
            vectors[rows] = self._session.run([OUTPUT], packed_inputs([texts[row] for row in rows]))[0]
        return vectors


def runs(lengths: Sequence[int], *, run_tokens: int) -> Iterator[list[int]]:
    """Yields the positions of the texts of each run, grouped by length."""
    run: list[int] = []
    tokens = 0
    for position in sorted(range(len(lengths)), key=lengths.__getitem__):
        if run and tokens + lengths[position] > run_tokens:
            yield run
            run, tokens = [], 0
        run.append(position)
        tokens += lengths[position]
    if run:
        yield run


def packed_inputs(texts: Sequence[Sequence[int]]) -> dict[str, NDArray[Any]]:
    """Returns the graph's inputs for the texts of one run."""
    lengths = np.array([len(text) for text in texts])
    width = -(-int(lengths.max()) // WIDTH_MULTIPLE) * WIDTH_MULTIPLE
    starts = np.cumsum(lengths) - lengths
    text_of_token = np.repeat(np.arange(len(texts)), lengths)
    position_ids = np.arange(lengths.sum()) - starts[text_of_token]
    return {
        "input_ids": np.concatenate([np.asarray(text, dtype=np.int64) for text in texts]),
        "position_ids": position_ids,
        "unpack": starts[:, None] + np.minimum(np.arange(width), lengths[:, None] - 1),
        "pack": text_of_token * width + position_ids,
        "lengths": lengths.astype(np.int32),
    }
