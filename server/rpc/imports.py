"""Running imports. One call holds an import at a time, and another call can take it over without a gap.

    call 1   position 0 ── writes 0–300 ── begins to write 300–600 ─────── ends: taken over
    call 2                                 wants the import, and waits ──── position 600 ── writes 600–900

A write finishes even if its call ends, and the next call gets its position only after that. If call 2 is at another
server of the same store, the first one ends with its next write: the store knows the call that holds the import.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from weakref import WeakValueDictionary

from server.catalogue.changes import Outcome, Upsert
from server.errors import ImportTakenOver
from server.rpc.interruption import Interruption
from server.writing.writer import Writer


class Imports:
    """Records which call holds which import. Used on the event loop only."""

    def __init__(self) -> None:
        self._holders: dict[str, Interruption] = {}
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._writes: set[asyncio.Task[list[Outcome]]] = set()

    @contextlib.contextmanager
    def held(self, import_id: str, interruption: Interruption, writer: Writer) -> Iterator[Import]:
        """Gives an import to a call; a call that already holds it ends with ImportTakenOver."""
        before = self._holders.get(import_id)
        self._holders[import_id] = interruption
        if before is not None:
            before.end(ImportTakenOver())
        try:
            lock = self._locks.setdefault(import_id, asyncio.Lock())
            yield Import(import_id, uuid.uuid4().hex, lock, writer, self, interruption)
        finally:
            if self.is_held(import_id, interruption):
                del self._holders[import_id]

    def is_held(self, import_id: str, interruption: Interruption) -> bool:
        """Returns whether a call still holds an import."""
        return self._holders.get(import_id) is interruption

    async def finish(self, write: asyncio.Task[list[Outcome]]) -> list[Outcome]:
        """Waits for a write, which continues if the waiting call is cancelled."""
        self._writes.add(write)
        write.add_done_callback(self._forget)
        return await asyncio.shield(write)

    def _forget(self, write: asyncio.Task[list[Outcome]]) -> None:
        self._writes.discard(write)
        if not write.cancelled():
            write.exception()  # Mark it as retrieved: the waiting call has it, or there is none.


@dataclass(frozen=True)
class Import:
    """An import that one call holds. `holder` names the call."""

    import_id: str
    holder: str
    lock: asyncio.Lock
    writer: Writer
    imports: Imports
    interruption: Interruption

    async def take(self) -> int:
        """Takes the import; returns its position, after any write that another call of this server has started."""
        async with self.lock:
            return await self.writer.take_import(self.import_id, self.holder)

    async def write(self, upserts: Sequence[Upsert], *, position: int) -> list[Outcome]:
        """Writes documents and sets the position after them; raises ImportTakenOver if the import is taken over."""
        return await self.imports.finish(asyncio.create_task(self._write(upserts, position)))

    async def _write(self, upserts: Sequence[Upsert], position: int) -> list[Outcome]:
        async with self.lock:
            if not self.imports.is_held(self.import_id, self.interruption):
                raise ImportTakenOver
            return await self.writer.import_documents(self.import_id, position, upserts, holder=self.holder)
