"""Reads documents, and reports changes as they are made."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from server.attributes.filter import Filter
from server.catalogue.changes import Change, Stored
from server.catalogue.partial import Fields
from server.catalogue.rules import RuleKind, StoredRule
from server.catalogue.store import Store
from server.engine import EngineSlot
from server.errors import NotFound, OutOfRange
from server.priority import CALL_NICENESS, give_way

PORTION_CHANGES = 64
PORTION_BYTES = 256 * 1024
"""Changes, and bytes of their documents as JSON, that are read at a time. A larger document is read alone."""

THREADS = 2
"""Threads that read the store. They often hold the GIL, so that the event loop is slower with each of them."""

T = TypeVar("T")


class Reader:
    """Reads documents. Used on the event loop."""

    def __init__(self, store: Store, slot: EngineSlot, lock: threading.Lock) -> None:
        """Reads a store and its index, which do not change while `lock` is held."""
        self._store = store
        self._slot = slot
        self._lock = lock
        self._changed = asyncio.Event()
        self._executor = ThreadPoolExecutor(THREADS, "reader", initializer=give_way, initargs=(CALL_NICENESS,))

    async def get(self, id: str, *, fields: Fields | None = None) -> Stored:
        """Returns a document, or some of its fields; raises NotFound if there is none."""
        stored = await self._run(partial(self._store.get, id, fields))
        if stored is None:
            raise NotFound(id)
        return stored

    async def list(
        self, *, filter: Filter | None, after_id: str, limit: int, fields: Fields | None = None
    ) -> Sequence[Stored]:
        """Returns up to `limit` documents after an id that match, ordered by the code points of their ids.

        It returns fewer if they are large, but none only if there are no more.
        """
        return await self._run(partial(self._page, filter, after_id, limit, fields))

    async def rules(self, kind: RuleKind, *, after_id: str, limit: int) -> Sequence[StoredRule]:
        """Returns up to `limit` rules of a kind after an id, ordered by the code points of their ids."""
        return await self._run(partial(self._store.rules, kind, after_id=after_id, limit=limit))

    def warnings(self, filter: Filter) -> Sequence[str]:
        """Returns a sentence for each condition of a filter that can match no document."""
        return self._slot.engine.index.state.warnings(filter)

    async def _run(self, read: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, read)

    def _page(self, filter: Filter | None, after_id: str, limit: int, fields: Fields | None) -> Sequence[Stored]:
        if filter is None:
            return self._store.page(after_id, limit, fields=fields)
        with contextlib.ExitStack() as unchanged:
            unchanged.enter_context(self._lock)

            def among() -> NDArray[np.int64]:
                state = self._slot.engine.index.state
                unchanged.close()
                return state.matching(filter)

            return self._store.page(after_id, limit, among=among, fields=fields)

    async def changes(
        self, after_sequence: int, *, fields: Fields | None = None
    ) -> AsyncGenerator[Sequence[Change], None]:
        """Yields the changes after a sequence in portions, then new changes as they are made, without end.

        It may skip changes that a later change of the same document replaces, so a slow caller takes no memory.
        Raises OutOfRange if the store has not had this sequence.
        """
        if not await self._run(partial(self._store.has_sequence, after_sequence)):
            raise OutOfRange(
                f"this store has not had the change {after_sequence}: it is another store, or it was restored from an "
                f"older backup (its last change is {self._store.sequence}); discard the copy and watch again from 0"
            )
        while True:
            changed, last = self._changed, self._store.sequence
            portion = await self._run(
                partial(self._store.changes, after_sequence, PORTION_CHANGES, max_bytes=PORTION_BYTES, fields=fields)
            )
            if portion:
                after_sequence = portion[-1].sequence
                yield portion
            else:
                after_sequence = max(after_sequence, last)  # Changes of rules are not sent.
            if after_sequence >= self._store.sequence:
                await changed.wait()

    def changed(self) -> None:
        """Wakes the callers of `changes`."""
        self._changed.set()
        self._changed = asyncio.Event()
