"""The rows that pass through Ray Data: work, portions of documents, and encoded portions.

Each is a block with one row of bytes, so that a task takes a few hundred documents whatever their size. A row that has
an `error` has nothing else: errors are data, since Ray would wrap an exception in pages of text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow

from export.bulk.checking import Work
from server.catalogue.document import Document
from server.catalogue.encoded import Vectors

PORTION_DOCUMENTS = 256
PORTION_BYTES = 2**20
"""Documents, and bytes of their contents, that one task encodes and one transaction writes. A larger document is
alone."""

_decode = msgspec.json.Decoder(Document).decode
_decode_work = msgspec.msgpack.Decoder(Work).decode


class Encoded(NamedTuple):
    """Documents with their vectors, and the CPU time of encoding them."""

    documents: list[Document]
    vectors: list[Vectors]
    cpu_seconds: float


def work_rows(works: Iterable[Work]) -> list[dict[str, bytes]]:
    """Returns the rows of works."""
    return [{"work": msgspec.msgpack.encode(work)} for work in works]


def work_of(table: pyarrow.Table) -> Work:
    """Returns the work of a row."""
    return _decode_work(_cell(table, "work"))


def portions_of(contents: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Groups the contents of documents into portions."""
    portion: list[bytes] = []
    size_bytes = 0
    for content in contents:
        if portion and (len(portion) == PORTION_DOCUMENTS or size_bytes + len(content) > PORTION_BYTES):
            yield portion
            portion, size_bytes = [], 0
        portion.append(content)
        size_bytes += len(content)
    if portion:
        yield portion


def portion_row(contents: Sequence[bytes]) -> pyarrow.Table:
    """Returns the row of a portion: its documents as lines."""
    return _row(documents=b"\n".join(contents))


def documents_of(table: pyarrow.Table) -> list[Document]:
    """Returns the documents of a row."""
    return [_decode(line) for line in _cell(table, "documents").split(b"\n")]


def encoded_row(table: pyarrow.Table, vectors: Sequence[Vectors], cpu_seconds: float) -> pyarrow.Table:
    """Returns the row of an encoded portion, whose documents are those of `table`."""
    return _row(
        documents=_cell(table, "documents"),
        counts=np.array([len(each.spans) for each in vectors], dtype="<i8").tobytes(),
        spans=np.concatenate([each.spans for each in vectors]).astype("<i4").tobytes(),
        matrix=np.concatenate([each.matrix for each in vectors]).astype("<f4").tobytes(),
        cpu_seconds=msgspec.json.encode(cpu_seconds),
    )


def encoded_of(table: pyarrow.Table) -> Encoded:
    """Returns the encoded portion of a row."""
    ends = np.cumsum(np.frombuffer(_cell(table, "counts"), dtype="<i8"))
    spans = np.frombuffer(_cell(table, "spans"), dtype="<i4").reshape(-1, 3)
    matrix = np.frombuffer(_cell(table, "matrix"), dtype="<f4").reshape(len(spans), -1)
    vectors = [Vectors(spans[start:end], matrix[start:end]) for start, end in pairwise([0, *ends.tolist()])]
    return Encoded(documents_of(table), vectors, msgspec.json.decode(_cell(table, "cpu_seconds"), type=float))


def error_row(message: str) -> pyarrow.Table:
    """Returns the row of an error."""
    return _row(error=message.encode())


def error_of(table: pyarrow.Table) -> str | None:
    """Returns the error of a row; None if it has none."""
    error = _cell(table, "error")
    return error.decode() if error else None


COLUMNS = ("error", "documents", "counts", "spans", "matrix", "cpu_seconds")


def _row(**cells: bytes) -> pyarrow.Table:
    # Large: a portion may have more than 2 GiB of vectors.
    return pyarrow.table({name: pyarrow.array([cells.get(name, b"")], type=pyarrow.large_binary()) for name in COLUMNS})


def _cell(table: pyarrow.Table, name: str) -> Any:
    return table.column(name)[0].as_py()
