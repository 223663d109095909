"""One request's record: 106 bytes in memory and on disk, before compression."""

import struct

import numpy as np

from loadtest.stages import STAGES

MOST_PROCESSES = MOST_CALLS = 256
"""A record has the number of a process, and that of a call of the mix, in one byte each."""

COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("planned_ns", "i8", "planned time in nanoseconds from the start; below 0 in the warm-up"),
    ("sent_ns", "i8", "time when the connection got the request"),
    ("done_ns", "i8", "time when the whole answer, or the error, had arrived"),
    ("number", "i8", "the request's number in the schedule"),
    ("query", "i4", "number of the first query in the queries file"),
    ("request_messages", "u4", "request messages that were sent"),
    ("request_bytes", "u4", "serialized request messages"),
    ("response_messages", "u4", "response messages"),
    ("response_bytes", "u4", "serialized response messages"),
    ("call", "u1", "number of the call in the mix"),
    ("process", "u1", "number of the process that sent it"),
    ("code", "u1", "number of the gRPC code; 17: sent, and not answered when the run ended"),
    ("same", "i1", "whether the answer equals the reference answer: 1 yes, 0 no, -1 not compared"),
    ("parts", "u2", "parts of an OK answer that can carry an error; at most 65,535"),
    ("failed_parts", "u2", "parts that do; above 0, `code` is that of the first error"),
    ("failed_checks", "u4", "the bit of each check is 1 if it failed, from the lowest; 0 if the call was no success"),
    ("batch_texts", "u2", "texts in the batch of the query on the server; 0 if not reported"),
    *((f"{stage}_seconds", "f4", f"the server's time in {stage}; NaN if not reported") for stage in STAGES),
    ("recall", "f4", "recall@k of the answer; NaN without labels"),
    ("ndcg", "f4", "nDCG@k of the answer; NaN without labels"),
    ("first_message_seconds", "f4", "from the send to a stream's first message; NaN without one"),
    ("gap_seconds", "f4", "mean time between two messages of a stream; NaN with fewer than two"),
    ("longest_gap_seconds", "f4", "longest time between two messages of a stream; NaN with fewer than two"),
)
"""Name, type and meaning of each column, in order."""

DTYPE = np.dtype([(name, f"<{kind}") for name, kind, _ in COLUMNS])

_FORMATS = {"i8": "q", "i4": "i", "u4": "I", "u2": "H", "u1": "B", "i1": "b", "f4": "f"}
PACKER = struct.Struct("<" + "".join(_FORMATS[kind] for _, kind, _ in COLUMNS))
"""Packs the columns' values into a record; for single records much faster than NumPy."""

assert PACKER.size == DTYPE.itemsize, "PACKER and DTYPE describe the same record"
