"""Stores feedback in batches, in its own thread, so that neither searches nor changes of the catalogue wait for it.

A call is answered when its events are on disk. Calls that arrive meanwhile are stored together.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple, TypeVar

from server.catalogue.feedback import DAY_SECONDS, Event, FeedbackLog, Recorded
from server.catalogue.store import Store
from server.errors import NotReady, Overloaded
from server.metrics.feedback import FeedbackMetrics
from server.priority import CALL_NICENESS, give_way

BATCH_EVENTS = 200
"""Events after which a batch takes no more calls. A change of the catalogue may have to wait for one batch, which takes
some 15 ms."""

PAUSE_SECONDS = 0.02
"""Time between two batches, in which the changes of the catalogue go first."""

MAX_WAITING_EVENTS = 100_000
"""Events of calls that wait. Others are refused, since the disk is too slow."""

PURGED_EVENTS = 1000
"""Old events that are deleted at a time."""

RESULT_OF = {Recorded.STORED: "stored", Recorded.KNOWN: "known"}
"""The results of events as metrics name them; all others are refused."""

T = TypeVar("T")


class _Call(NamedTuple):
    events: Sequence[Event]
    done: asyncio.Future[list[Recorded]]


class FeedbackWriter:
    """Writes the feedback of a store. Used on the event loop."""

    def __init__(self, store: Store, metrics: FeedbackMetrics, *, keep_days: int) -> None:
        """Writes to a store, which keeps events for a number of days."""
        self._metrics = metrics
        self.log = FeedbackLog(store)
        self._keep_seconds = keep_days * DAY_SECONDS
        self._waiting: list[_Call] = []
        self._waiting_events = 0
        self._writing: asyncio.Task[None] | None = None
        self._closed = False
        self._thread = ThreadPoolExecutor(1, "feedback", initializer=give_way, initargs=(CALL_NICENESS,))

    async def record(self, events: Sequence[Event]) -> list[Recorded]:
        """Stores the events of a call; returns the result of each. Raises StoreFull, Overloaded or NotReady."""
        if self._closed:
            raise NotReady("the server accepts no more feedback; try another server")
        if self._waiting_events + len(events) > MAX_WAITING_EVENTS:
            raise Overloaded(self._waiting_events / BATCH_EVENTS * PAUSE_SECONDS)
        call = _Call(events, asyncio.get_running_loop().create_future())
        self._waiting.append(call)
        self._waiting_events += len(events)
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())
        return await call.done

    async def run(self, work: Callable[[FeedbackLog], T]) -> T:
        """Returns the result of other work on the feedback, after the batch that is being written."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, partial(work, self.log))

    def purge(self) -> None:
        """Deletes events that are too old, or too many. Blocks; any thread may call it."""
        before = self.log.now_seconds() - self._keep_seconds
        while self.log.erase_before(before, limit=PURGED_EVENTS) or self.log.erase_excess(limit=PURGED_EVENTS):
            time.sleep(PAUSE_SECONDS)

    async def close(self) -> None:
        """Stores what waits, and ends the thread."""
        self._closed = True
        if self._writing is not None:
            await asyncio.wait([self._writing])
        await asyncio.to_thread(self._thread.shutdown)

    async def _write(self) -> None:
        while self._waiting:
            batch, events = [], 0
            while self._waiting and events < BATCH_EVENTS:
                call = self._waiting.pop(0)
                events += len(call.events)
                batch.append(call)
            self._waiting_events -= events
            await self._write_batch(batch)
            await asyncio.sleep(PAUSE_SECONDS)
        self._writing = None

    async def _write_batch(self, batch: Sequence[_Call]) -> None:
        written: Sequence[list[Recorded]] | Exception
        try:
            written = await self.run(lambda log: log.record([call.events for call in batch]))
        except Exception as error:
            written = error
        else:
            for each in (each for recorded in written for each in recorded):
                self._metrics.events[RESULT_OF.get(each, "refused")].inc()
        for position, call in enumerate(batch):
            if call.done.done():  # The caller gave up; the events are stored.
                continue
            if isinstance(written, Exception):
                call.done.set_exception(written)
            else:
                call.done.set_result(written[position])
