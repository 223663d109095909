"""Learns from feedback while the server serves: a process studies it, and the writer changes the documents.

The process has a low priority. New example queries are encoded as bulk work, a few documents at a time.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import msgspec

from server.catalogue.changes import Stored, Upsert
from server.catalogue.feedback import FeedbackLog, Promotion
from server.catalogue.store import Store
from server.errors import ChajaError, LearningRefused
from server.feedback.learning import WORK, Lesson, Measured
from server.feedback.process import Studied
from server.logs.audit import AuditLog
from server.metrics.feedback import FeedbackMetrics
from server.writing.alone import alone
from server.writing.promotions import PromotionChanges
from server.writing.writer import Writer

log = logging.getLogger(__name__)

PORTION_DOCUMENTS = 20
"""Documents that are changed at a time."""

FIRST_SECONDS = 3600.0
"""Longest time from the start until the server first learns on its own."""


class Learnt(NamedTuple):
    """The numbers of examples added and taken away and of documents changed; R@1, None if it was not measured."""

    added: int
    withdrawn: int
    documents: int
    measured: Measured | None = None


class Learning:
    """Learns from the feedback of a store, once at a time. Used on the event loop."""

    def __init__(
        self,
        store: Store,
        writer: Writer,
        metrics: FeedbackMetrics,
        audit: AuditLog,
        *,
        study: Callable[[], Awaitable[Studied]],
    ) -> None:
        """Learns nothing yet. `study` finds what feedback teaches; it raises LearningFailed."""
        self._store = store
        self._log = FeedbackLog(store)
        self._writer = writer
        self._metrics = metrics
        self._audit = audit
        self._study = study
        self._running = asyncio.Lock()
        self._tasks: set[asyncio.Task[Learnt]] = set()
        self._waiting: dict[tuple[bool, bool], asyncio.Task[Learnt]] = {}
        self._regularly: asyncio.Task[None] | None = None

    async def learn(self, *, dry_run: bool = False, undo: bool = False) -> Learnt:
        """Adds queries that users have confirmed to the examples of documents, or takes all of them away.

        A dry run changes nothing. The work continues if the caller gives up. Equal calls that arrive before it starts
        share its result. Raises LearningRefused if R@1 of held-out queries would fall, LearningFailed, StoreFull or
        NotReady.
        """
        task = self._waiting.get((dry_run, undo))
        if task is None:
            task = asyncio.create_task(self._learn(dry_run=dry_run, undo=undo))
            self._waiting[dry_run, undo] = task
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            if not dry_run:
                task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    def start(self, *, every_seconds: float) -> None:
        """Reports the promotions in force, and learns at an interval from now on; 0 disables that."""
        self._regularly = asyncio.create_task(self._repeat(every_seconds))

    async def close(self) -> None:
        """Ends what is running; what was not committed is not learnt."""
        tasks = [each for each in (self._regularly, *self._tasks) if each is not None]
        for each in tasks:
            each.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _repeat(self, every_seconds: float) -> None:
        await self._count_promotions()
        pause_seconds = min(every_seconds, FIRST_SECONDS)
        while every_seconds:
            await asyncio.sleep(pause_seconds)
            pause_seconds = every_seconds
            try:
                learnt = await self.learn()
            except Exception as error:  # `_ended` has logged it.
                self._audit.learnt(result="refused" if isinstance(error, LearningRefused) else "failed")
            else:
                self._audit.learnt(result="ok", changed=learnt.documents)

    async def _learn(self, *, dry_run: bool, undo: bool) -> Learnt:
        async with self._running, alone(self._store, WORK):
            del self._waiting[dry_run, undo]
            if undo:
                lesson, measured = Lesson([], await asyncio.to_thread(self._log.promotions)), None
            else:
                lesson, measured = await self._study()
                self._metrics.report(measured.questions, measured.before, measured.after)
            if measured is not None and measured.worse and (lesson.added or lesson.withdrawn):
                raise LearningRefused(measured.worse)
            if dry_run:
                return Learnt(len(lesson.added), len(lesson.withdrawn), 0, measured)
            learnt = await self._apply(lesson)
            await self._count_promotions()
            return learnt._replace(measured=measured)

    async def _apply(self, lesson: Lesson) -> Learnt:
        """Changes the documents of a lesson; returns what was changed."""
        now = int(time.time())
        ids = sorted({each.document_id for each in lesson.added}.union(each.document_id for each in lesson.withdrawn))
        learnt = Learnt(0, 0, 0)
        for start in range(0, len(ids), PORTION_DOCUMENTS):
            portion = set(ids[start : start + PORTION_DOCUMENTS])
            stored = await asyncio.to_thread(self._stored, portion)
            part = lesson.of(stored[id].document for id in portion if id in stored)
            gone = [each for each in lesson.withdrawn if each.document_id in portion]
            examples = part.examples(each.document for each in stored.values())
            upserts = [
                Upsert(msgspec.structs.replace(stored[id].document, examples=texts), stored[id].version)
                for id, texts in examples.items()
            ]
            added = [Promotion(each.document_id, each.query, each.users, now) for each in part.added]
            promotions = PromotionChanges(added, gone, frozenset(examples))
            outcomes = await self._writer.promote(upserts, promotions)
            failed = {each.id for each in outcomes if each.error is not None}
            learnt = Learnt(
                learnt.added + sum(each.document_id not in failed for each in added),
                learnt.withdrawn + sum(each.document_id not in failed for each in gone),
                learnt.documents + sum(each.changed for each in outcomes),
            )
        return learnt

    def _stored(self, ids: set[str]) -> dict[str, Stored]:
        found = ((id, self._store.get(id)) for id in ids)
        return {id: stored for id, stored in found if stored is not None}

    async def _count_promotions(self) -> None:
        """Reports the promotions in force. An error is only logged: it must not end learning."""
        try:
            self._metrics.promotions.set(len(await asyncio.to_thread(self._log.promotions)))
        except Exception as error:
            unexpected = None if isinstance(error, ChajaError) else error
            log.error("the learnt example queries were not counted: %s", error, exc_info=unexpected)

    def _ended(self, task: asyncio.Task[Learnt]) -> None:
        """Counts and logs a run."""
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            learnt = task.result()
            self._metrics.ended("learnt" if learnt.documents else "unchanged")
            log.info("learnt from feedback: %d example queries added, %d taken away, %d documents changed", *learnt[:3])
        elif isinstance(error, LearningRefused):
            self._metrics.ended("refused")
            log.warning("nothing is learnt from feedback: %s", error)
        else:
            self._metrics.ended("failed")
            unexpected = None if isinstance(error, ChajaError) else error
            log.error("learning from feedback failed: %s", error, exc_info=unexpected)
