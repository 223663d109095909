"""Reads documents, and reports changes as they are made."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from server.attributes.filter import Filter
from server.catalogue.changes import Change, Stored
from server.catalogue.partial import Fields
from server.catalogue.rules import RuleKind, StoredRule
from server.catalogue.store import Store
from server.engine import EngineSlot
from server.errors import NotFound, OutOfRange, SequenceNotSeen
from server.priority import CALL_NICENESS, give_way

PORTION_CHANGES = 64
PORTION_BYTES = 256 * 1024
"""Changes, and bytes of their documents as JSON, that are read at a time. A larger document is read alone."""

THREADS = 2
"""Threads that read the store. They often hold the GIL, so that the event loop is slower with each of them."""

ANNOUNCED_SECONDS = 0.05
"""Time within which a change of another server is usually announced."""

KEPT_SEQUENCES = 10_000
"""Sequences that are remembered as sequences of the store."""

T = TypeVar("T")


class Reader:
    """Reads documents. Used on the event loop."""

    def __init__(self, store: Store, slot: EngineSlot, *, catch_up: Callable[[], None]) -> None:
        """Reads a store and its index; `catch_up` brings the index up to date with the store."""
        self._store = store
        self._slot = slot
        self._catch_up = catch_up
        self._had: set[int] = set()
        self._looking: asyncio.Task[None] | None = None
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

    async def warnings(self, filter: Filter) -> Sequence[str]:
        """Returns a sentence for each condition of a filter that can match no document."""
        state = self._slot.engine.index.state
        return await self._run(partial(state.warnings, filter)) if state.is_remote else state.warnings(filter)

    async def _run(self, read: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._store.patiently, read)

    def _page(self, filter: Filter | None, after_id: str, limit: int, fields: Fields | None) -> Sequence[Stored]:
        if filter is None:
            return self._store.page(after_id, limit, fields=fields)
        self._catch_up()
        # Others may change documents from here on: the page has the versions that the index had.
        among = self._slot.engine.index.state.matching(filter)
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

    async def reach(self, sequence: int, *, max_seconds: float) -> None:
        """Waits until searches see the change with a sequence, for `max_seconds` at most.

        Raises SequenceNotSeen after that time, or OutOfRange if the store has not had this sequence.
        """
        until = time.monotonic() + max_seconds
        before = self._looking  # It may have looked before the change was made.
        while self._sequence < sequence and time.monotonic() < until:
            changed = asyncio.create_task(self._changed.wait())
            await asyncio.wait([changed], timeout=min(ANNOUNCED_SECONDS, until - time.monotonic()))
            if not changed.done():  # It was not announced.
                changed.cancel()
                looking = self._look()
                await asyncio.wait([looking], timeout=until - time.monotonic())
                has_looked = looking is not before and looking.done() and looking.exception() is None
                if has_looked and self._store.sequence < sequence:
                    break
        # The log may have lost this sequence although it has later ones.
        if sequence not in self._had:
            if not await self._run(partial(self._store.has_sequence, sequence)):
                raise OutOfRange(
                    f"this catalogue has not had the change {sequence}: it is another one, or it has lost its last "
                    f"changes (its last one is {self._store.sequence}); search without min_sequence"
                )
            if len(self._had) >= KEPT_SEQUENCES:
                self._had.clear()
            self._had.add(sequence)
        if self._sequence < sequence:
            raise SequenceNotSeen(sequence, self._sequence)

    def _look(self) -> asyncio.Task[None]:
        """Returns the task that brings the index up to date for all callers."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._run(self._catch_up))
            self._looking.add_done_callback(lambda task: task.cancelled() or task.exception())  # The follower logs it.
        return self._looking

    @property
    def _sequence(self) -> int:
        return self._slot.engine.index.state.sequence

    def changed(self) -> None:
        """Wakes the callers of `changes` and `reach`."""
        self._changed.set()
        self._changed = asyncio.Event()
