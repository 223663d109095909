"""The rows of changed documents, which a transaction writes together.

One by one they would take many times as long in PostgreSQL, since each statement waits for its answer.
"""

from collections.abc import Sequence
from typing import NamedTuple


class DocumentRow(NamedTuple):
    """A new version of a document. `is_retired` if a later one of the same rows has replaced it."""

    sequence: int
    id: str
    is_retired: bool
    checksum: int
    content: bytes


class VectorRow(NamedTuple):
    """The vectors of a version of a document, made by the model with a revision."""

    sequence: int
    revision: str
    spans_checksum: int
    matrix_checksum: int
    spans: bytes
    matrix: bytes


class DocumentRows(NamedTuple):
    """Rows to add to the tables, and to take from them, because some documents have changed.

    Attributes:
        now_seconds: Time of the changes in seconds since 1970.
        retired: Sequences of stored versions that are replaced or deleted.
        documents: New versions. Earlier deletions of their ids are forgotten.
        deletions: Sequences and ids of new deletions.
        vectors: At most one of a version and a revision. Those of a version that has been purged are left out.
    """

    now_seconds: float
    retired: Sequence[int]
    documents: Sequence[DocumentRow]
    deletions: Sequence[tuple[int, str]]
    vectors: Sequence[VectorRow]
