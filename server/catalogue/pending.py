"""The changes of documents that a transaction has made and not written yet.

They are written together. Until then they can be taken back without asking the database.
"""

from typing import NamedTuple

import numpy as np

from server.catalogue.checksums import checksum_of
from server.catalogue.databases.document_rows import DocumentRow, DocumentRows, VectorRow
from server.catalogue.encoded import Vectors

MOST_BYTES = 8 * 2**20
"""Size of pending changes from which a transaction writes them, though it continues."""


class Live(NamedTuple):
    """The live version of a document, 0 if there is none. `content` is None unless the transaction has written it."""

    version: int
    checksum: int = 0
    content: bytes | None = None


ABSENT = Live(0)

Position = tuple[int, int]
"""A place between two changes: the numbers of documents and of vectors before it."""

START: Position = (0, 0)


class DocumentChange(NamedTuple):
    """A new version of a document, or a deletion if `live` is `ABSENT`. `replaced` is the version before, 0 if none."""

    sequence: int
    id: str
    live: Live
    replaced: int


class PendingChanges:
    """Changes in their order.

    Attributes:
        size_bytes: Size of the contents and vectors, at most: `undo` does not lower it, and `drop` makes it 0.
    """

    def __init__(self) -> None:
        self.documents: list[DocumentChange] = []
        self._vectors: list[VectorRow] = []
        self.size_bytes = 0

    @property
    def position(self) -> Position:
        """The end of the changes."""
        return len(self.documents), len(self._vectors)

    def add(self, change: DocumentChange) -> None:
        """Adds a change of a document."""
        self.documents.append(change)
        self.size_bytes += len(change.live.content or b"")

    def add_vectors(self, sequence: int, vectors: Vectors, *, revision: str) -> None:
        """Adds the vectors of a version, which replace those of the same revision."""
        spans = np.ascontiguousarray(vectors.spans, dtype="<i4").tobytes()
        matrix = np.ascontiguousarray(vectors.matrix, dtype="<f4").tobytes()
        self._vectors.append(VectorRow(sequence, revision, checksum_of(spans), checksum_of(matrix), spans, matrix))
        self.size_bytes += len(spans) + len(matrix)

    def undo(self, begin: Position) -> None:
        """Takes back the changes after a position."""
        del self.documents[begin[0] :], self._vectors[begin[1] :]

    def drop(self, end: Position) -> None:
        """Forgets the changes before a position, since they are written."""
        del self.documents[: end[0]], self._vectors[: end[1]]
        self.size_bytes = 0

    def rows(self, end: Position, now_seconds: float) -> DocumentRows:
        """Returns what the changes before a position, made at a time, write."""
        changes, vectors = self.documents[: end[0]], self._vectors[: end[1]]
        replaced = {change.replaced for change in changes if change.replaced}
        last = {change.id: change for change in changes}
        return DocumentRows(
            now_seconds,
            retired=sorted(replaced.difference(change.sequence for change in changes)),
            documents=[
                DocumentRow(sequence, id, sequence in replaced, live.checksum, live.content)
                for sequence, id, live, _ in changes
                if live.content is not None
            ],
            deletions=[(change.sequence, change.id) for change in last.values() if not change.live.version],
            vectors=list({(row.sequence, row.revision): row for row in vectors}.values()),
        )
