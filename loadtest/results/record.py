"""One request's record: 78 bytes in memory and on disk, before compression."""

import struct

import numpy as np

from loadtest.stages import STAGES

COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("planned_ns", "i8", "when it was to be sent, in nanoseconds from the start; below 0 in the warm-up"),
    ("sent_ns", "i8", "when it was handed to the connection"),
    ("done_ns", "i8", "when the whole answer, or the error, was there"),
    ("number", "i8", "the request's number in the schedule"),
    ("query", "i4", "number of its first query in the queries file"),
    ("request_bytes", "u4", "serialized request messages"),
    ("response_bytes", "u4", "serialized response messages"),
    ("call", "u1", "which call of the mix"),
    ("worker", "u1", "which process sent it"),
    ("code", "u1", "gRPC code of its outcome, by number"),
    ("same", "i1", "whether its answer is that at rest: 1 yes, 0 no, -1 not asked"),
    ("batch_texts", "u2", "texts in the batch that the server encoded it in; 0 if not told"),
    *((f"{stage}_seconds", "f4", f"the server's own time in {stage}; NaN if not told") for stage in STAGES),
    ("recall", "f4", "recall@k of its answer; NaN without labels"),
    ("ndcg", "f4", "nDCG@k of its answer; NaN without labels"),
)
"""Name, type and meaning of each column, in order."""

DTYPE = np.dtype([(name, f"<{kind}") for name, kind, _ in COLUMNS])

_FORMATS = {"i8": "q", "i4": "i", "u4": "I", "u2": "H", "u1": "B", "i1": "b", "f4": "f"}
PACKER = struct.Struct("<" + "".join(_FORMATS[kind] for _, kind, _ in COLUMNS))
"""Packs the columns' values into a record: much faster than NumPy, one record at a time."""

assert PACKER.size == DTYPE.itemsize, "the two descriptions of a record agree"
