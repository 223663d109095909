"""What CatalogService needs of the store of documents: somebody who writes, and somebody who reads.

A call that is given up cancels what it awaits; a write that has been handed over is then done wholly or not at all.
Only the writes of imports are never cancelled.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Protocol

from server.attributes.filter import Filter
from server.catalogue.changes import Change, Delete, Outcome, Stored, Upsert


class Writer(Protocol):
    """Writes documents. A write returns when it is on the disk and found by searches.

    With a `request_id` that was seen before, a method does not do again what it did, returns for it what it returned
    then, and tries again what was refused; an empty one stands for none. What concerns one document is an error in its
    outcome. All methods raise `ReadOnly`, `StoreFull`, `NotReady`, and, where texts are to be encoded, `Overloaded` and
    `DeadlinePassed`.
    """

    async def upsert(
        self, upserts: Sequence[Upsert], *, request_id: str, remaining_seconds: float | None
    ) -> list[Outcome]:
        """Writes documents in their order; returns an outcome for each. The deadline is in `remaining_seconds`."""
        ...

    async def delete(self, deletes: Sequence[Delete], *, request_id: str) -> list[Outcome]:
        """Deletes documents in their order; returns an outcome for each."""
        ...

    async def delete_matching(self, filter: Filter, *, request_id: str) -> int:
        """Deletes every document that matches; returns how many."""
        ...

    async def import_documents(self, import_id: str, position: int, upserts: Sequence[Upsert]) -> list[Outcome]:
        """Writes documents of an import, and with them, as one, that it has come to `position`.

        `position` is what `import_position` returns from then on. It counts documents that were refused, too, which
        are not among `upserts`; there may be none of them.
        """
        ...

    async def import_position(self, import_id: str) -> int:
        """Returns how far an import has come; 0 for one that is not known."""
        ...


class Reader(Protocol):
    """Reads documents."""

    async def get(self, id: str) -> Stored:
        """Returns a document; raises NotFound."""
        ...

    async def list(self, *, filter: Filter | None, after_id: str, limit: int) -> list[Stored]:
        """Returns the first `limit` documents behind an id that match, in the order of their ids' code points.

        Fewer are returned only behind the last.
        """
        ...

    def changes(self, after_sequence: int) -> AsyncGenerator[Sequence[Change], None]:
        """Yields changes in their order, some at a time: first what is stored, then those that come, without end.

        It may leave out changes that a later one of the same document makes void, so that a slow caller costs no
        memory. A portion is in memory as a whole: tens of documents are enough.

        Raises:
            OutOfRange: `after_sequence` is newer than the store, or deletions since then are forgotten.
        """
        ...
