"""Learns from feedback while the server serves: a process studies it, and the writer changes the documents.

The process has a low priority. New example queries are encoded as bulk work, a few documents at a time.
"""

import asyncio
import contextlib
import logging
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from server.catalogue.changes import Stored, Upsert
from server.catalogue.document import Field
from server.catalogue.feedback import FeedbackLog, Promotion
from server.catalogue.store import Store
from server.errors import ChajaError, LearningFailed, LearningRefused
from server.feedback.learning import Lesson, Measured
from server.feedback.process import Studied, Task
from server.logs.audit import AuditLog
from server.metrics.feedback import FeedbackMetrics
from server.writing.promotions import PromotionChanges
from server.writing.writer import Writer

log = logging.getLogger(__name__)

PORTION_DOCUMENTS = 20
"""Documents that are changed at a time."""

FIRST_SECONDS = 3600.0
"""Longest time from the start until the server first learns on its own."""

ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


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
        bundle: Path,
        weights: Mapping[Field, float],
    ) -> None:
        """Reports the promotions in force. `bundle` and `weights` are those that the server serves."""
        self._store = store
        self._log = FeedbackLog(store)
        self._writer = writer
        self._metrics = metrics
        self._audit = audit
        self._task = Task(str(store.directory), str(bundle), dict(weights))
        self._running = asyncio.Lock()
        self._tasks: set[asyncio.Task[Learnt]] = set()
        self._regularly: asyncio.Task[None] | None = None

    async def learn(self, *, dry_run: bool = False, undo: bool = False) -> Learnt:
        """Adds queries that users have confirmed to the examples of documents, or takes all of them away.

        A dry run changes nothing. The work continues if the caller gives up. Raises LearningRefused if R@1 of held-out
        queries would fall, LearningFailed, StoreFull or NotReady.
        """
        task = asyncio.create_task(self._learn(dry_run=dry_run, undo=undo))
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
        async with self._running:
            if undo:
                lesson, measured = Lesson([], await asyncio.to_thread(self._log.promotions)), None
            else:
                lesson, measured = await self._study()
                self._metrics.report(measured.questions, measured.before, measured.after)
            if measured is not None and measured.worse and (lesson.added or lesson.withdrawn):
                raise LearningRefused(measured.worse)
            if dry_run:
                return Learnt(len(lesson.added), len(lesson.withdrawn), 0, measured)
            try:
                return (await self._apply(lesson))._replace(measured=measured)
            finally:
                await self._count_promotions()

    async def _study(self) -> Studied:
        """Runs `server.feedback.process`."""
        # In a separate session, so that a terminal's Ctrl-C reaches only the server, which ends the process.
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            Task.__module__,  # `server.feedback.process`; the wheel renames packages.
            msgspec.json.encode(self._task).decode(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
            env=os.environ | ONE_THREAD,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            # Not `communicate`, which closes the input: that would end the process.
            output, errors = await asyncio.gather(process.stdout.read(), process.stderr.read())
            code = await process.wait()
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if code:
            lines = errors.decode(errors="replace").strip().splitlines()
            raise LearningFailed(lines[-1] if lines else f"its process ended with the exit code {code}")
        return msgspec.json.decode(output, type=Studied)

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

    def _stored(self, ids: Sequence[str] | set[str]) -> dict[str, Stored]:
        found = ((id, self._store.get(id)) for id in ids)
        return {id: stored for id, stored in found if stored is not None}

    async def _count_promotions(self) -> None:
        self._metrics.promotions.set(len(await asyncio.to_thread(self._log.promotions)))

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
