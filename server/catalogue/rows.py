"""Rows of documents and their vectors, as the store reads them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from server.catalogue.databases.connection import Connection

DocumentRow = tuple[int, str, bytes, int]
"""Sequence, id, content and checksum of a version of a document."""

VectorRow = tuple[bytes | None, bytes | None, int | None, int | None]
"""Spans and matrix of the vectors of a version, and their checksums."""

LIVE = (
    "SELECT d.sequence, d.id, d.content, d.checksum, v.spans, v.matrix, v.spans_checksum, v.matrix_checksum "
    "FROM documents d LEFT JOIN vectors v "
    "ON v.sequence = d.sequence AND v.revision = (SELECT number FROM revisions WHERE revision = ?) "
    "WHERE d.retired_seconds IS NULL AND"
)
"""The live documents with the vectors of a model."""


def live_row(connection: Connection, id: str) -> DocumentRow | None:
    """Returns the row of the document with an id; None if there is none."""
    query = "SELECT sequence, id, content, checksum FROM documents WHERE id = ? AND retired_seconds IS NULL"
    row: DocumentRow | None = connection.execute(query, (id,)).fetchone()
    return row


def rows_within(connection: Connection, query: str, parameters: Sequence[object], *, max_bytes: int) -> list[Any]:
    """Returns the first rows of a query whose third column, the content, has `max_bytes` in all; at least one row."""
    found: list[Any] = []
    with connection.stream(query, parameters) as rows:
        for row in rows:
            max_bytes -= len(row[2] or b"")
            if max_bytes < 0 and found:
                break
            found.append(row)
    return found


def spans_of(stored: bytes) -> NDArray[np.int32]:
    """Returns stored spans as rows of part, start and end."""
    return np.frombuffer(stored, dtype="<i4").reshape(-1, 3)
