"""Takes jobs through the stages: tokenize → queue → encode → search.

    run → admit → slices → known vector? → tokenize → queue → workers

Admission, the cache of vectors and the tokenizing of short texts happen on the event loop. Long texts are tokenized in
a thread, so that they do not block the loop.
"""

import asyncio
import math
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from server.batching.admission import Admission
from server.batching.job import Job
from server.batching.queue import Queue
from server.batching.speed import Speed
from server.batching.workers import Workers
from server.encoding.bundle import Bundle
from server.encoding.cache import CacheKey, EmbeddingCache
from server.encoding.kind import TextKind
from server.encoding.tokenizer import Tokens
from server.errors import ChajaError, DeadlinePassed, NotReady, UnfitText
from server.metrics import Metrics
from server.priority import CALL_NICENESS, give_way
from server.ranking.served import ServedIndex
from server.settings import Settings

SLICE_TEXTS = 32
"""Texts of one call that are in the stages at a time, so that a large call does not delay all others."""

INTERACTIVE_TEXTS = 8
"""Most queries of an interactive call, one that a person waits for. A call with more is bulk work."""

SHORT_CHARACTERS = 1000
"""Most characters that are tokenized on the event loop: for short texts, a switch to a thread takes longer.

Longer calls are bulk work, so interactive work is in the queue, and counted there, as soon as it is admitted.
"""


class Pipeline:
    """The stages of one model and one index. Create and use it on the event loop."""

    def __init__(
        self,
        bundle: Bundle,
        index: ServedIndex,
        settings: Settings,
        *,
        cache: EmbeddingCache,
        speed: Speed,
        metrics: Metrics,
    ) -> None:
        """Starts the threads; `cache` and `speed` may come from an earlier pipeline."""
        self._bundle = bundle
        self._cache = cache
        self._metrics = metrics
        self._speed = speed
        workers, longest_wait_seconds = settings.workers, settings.longest_wait_seconds
        self._queue = Queue(
            workers=workers, max_batch_tokens=settings.max_batch_tokens, longest_wait_seconds=longest_wait_seconds
        )
        self.workers = Workers(self._queue, bundle, index, count=workers, speed=speed, metrics=metrics)
        self.admission = Admission(self._queue, speed, workers=workers, longest_wait_seconds=longest_wait_seconds)
        self._tokenizing = ThreadPoolExecutor(1, "tokenizer", initializer=give_way, initargs=(CALL_NICENESS,))
        self._in_flight: dict[CacheKey, Job] = {}
        self._retries: set[asyncio.Future[None]] = set()

    def __len__(self) -> int:
        return len(self._queue)

    async def run(self, jobs: Sequence[Job], *, admitted: bool = False) -> list[ChajaError | None]:
        """Takes the jobs of one call through all stages; returns the error of each job, or None.

        When the caller is cancelled, so are its jobs. With `admitted`, the jobs belong to work that was admitted before
        and are not checked again. Raises Overloaded, DeadlinePassed if the deadline had passed when the call arrived,
        or NotReady if no worker is alive.
        """
        if not self.workers.alive:
            raise NotReady("all workers of the server died; try another server")
        bulk = jobs[0].bulk
        remaining = jobs[0].deadline - time.monotonic()
        if remaining <= 0:
            raise DeadlinePassed
        tokens = [self._estimate(job) for job in jobs]
        if not admitted:
            self.admission.admit(tokens=sum(tokens), bulk=bulk, remaining_seconds=remaining)
        elif bulk:
            self.admission.bulk_tokens += sum(tokens)
        outcomes: list[ChajaError | None] = []
        try:
            for start in range(0, len(jobs), SLICE_TEXTS):
                part = jobs[start : start + SLICE_TEXTS]
                now = time.monotonic()
                for job in part:
                    job.arrived = now
                    job.stopwatch.restart()
                await self._tokenize([job for job in part if not self._enqueue_if_known(job)])
                outcomes += await _outcomes(part)
                if bulk:
                    self.admission.bulk_tokens -= sum(tokens[start : start + SLICE_TEXTS])
        finally:
            for job in jobs:
                job.done.cancel()  # Has no effect on jobs that are done.
            if bulk:
                self.admission.bulk_tokens -= sum(tokens[len(outcomes) :])
        return outcomes

    def close(self) -> None:
        """Finishes the jobs in the queue and ends the threads. Blocks; the event loop must be running."""
        self._queue.close()
        self.workers.join()
        self._tokenizing.shutdown()

    def _estimate(self, job: Job) -> int:
        """Returns the estimated work of a job in tokens, and sets the part that is its search."""
        if job.options is not None:
            job.search_tokens = self._speed.search_tokens(job.options)
        if job.encoded:
            return job.token_count
        tokens = self._bundle.fixed_tokens[job.kind] + math.ceil(len(job.text) * self._speed.tokens_per_character)
        return max(1, min(tokens, self._bundle.manifest.tower(job.kind.side).max_tokens) + job.search_tokens)

    async def _tokenize(self, jobs: Sequence[Job]) -> None:
        """Tokenizes jobs and puts them into the queue."""
        if not jobs:
            return
        texts = [(job.text, job.kind) for job in jobs]
        if sum(len(job.text) for job in jobs) <= SHORT_CHARACTERS:
            tokens = self._bundle.tokenize(texts)
        else:
            loop = asyncio.get_running_loop()
            tokens = await loop.run_in_executor(self._tokenizing, self._bundle.tokenize, texts)
        for job, each in zip(jobs, tokens, strict=True):
            job.tokens = each
        self._enqueue(jobs)

    def _enqueue(self, jobs: Sequence[Job]) -> None:
        """Puts jobs into the queue; fails those whose text the model cannot encode."""
        passed = []
        for job in jobs:
            job.stopwatch.lap("tokenize")
            problem = None if job.tokens is None else self._problem(job, job.tokens)
            if problem is None:
                passed.append(job)
            elif not job.done.done():
                job.done.set_exception(problem)
        if not self._queue.put(passed):
            for job in passed:
                if not job.done.done():
                    job.done.set_exception(NotReady("the server accepts no more texts; try another server"))

    def _problem(self, job: Job, tokens: Tokens) -> UnfitText | None:
        if not tokens.whole_count:
            return UnfitText("has no text that the model can read: send words")
        max_tokens = self._bundle.manifest.tower(job.kind.side).max_tokens
        if tokens.whole_count > max_tokens and not job.truncate:
            remedy = "shorten it" if job.options else "shorten it, or set truncate"  # A search has no such field.
            return UnfitText(f"has {tokens.whole_count} tokens; the model sees at most {max_tokens}: {remedy}")
        return None

    def _enqueue_if_known(self, job: Job) -> bool:
        """Enqueues a job that needs no tokens (lexical, cached, encoded by another job); returns False for others."""
        if job.encoded:
            self._enqueue([job])
            return True
        if job.kind is not TextKind.QUERY or not job.cached:
            return False
        manifest = self._bundle.manifest
        key = CacheKey.of(job.text, revision=manifest.revision, prefix=manifest.prefixes.of(job.kind))
        if entry := self._cache.get(key):
            self._metrics.caches.vector_hits.inc()
            job.tokens, job.vector = Tokens(job.kind, [], entry.whole_count), entry.vector
            self._enqueue([job])
            return True
        first = self._in_flight.get(key)
        if first is not None and first.bulk <= job.bulk:  # A query never waits for bulk work.
            first.done.add_done_callback(partial(self._follow, job, first))
            return True
        self._metrics.caches.vector_misses.inc()
        self._in_flight[key] = job
        job.done.add_done_callback(partial(self._remember, key, job))
        return False

    def _remember(self, key: CacheKey, job: Job, _done: asyncio.Future[None]) -> None:
        if self._in_flight.get(key) is job:
            del self._in_flight[key]
        if job.vector is not None and job.tokens is not None:
            self._cache.put(key, whole_count=job.tokens.whole_count, vector=job.vector)

    def _follow(self, job: Job, first: Job, _done: asyncio.Future[None]) -> None:
        """Continues a job that has waited for `first`, a job of the same text."""
        if job.done.done():
            return
        job.stopwatch.lap("queue")
        if first.vector is not None:
            self._metrics.caches.vectors_shared.inc()
        elif self._enqueue_if_known(job):
            return  # The first failed, and another job of this text has taken its place.
        job.tokens, job.vector = first.tokens, first.vector
        if job.tokens is not None:
            self._enqueue([job])
        else:
            retry = asyncio.ensure_future(self._retry(job))
            self._retries.add(retry)
            retry.add_done_callback(self._retries.discard)

    async def _retry(self, job: Job) -> None:
        try:
            await self._tokenize([job])
        except Exception as error:
            if not job.done.done():
                job.done.set_exception(error)


def is_bulk(texts: Sequence[str]) -> bool:
    """Returns whether a call with these texts is bulk work, which interactive work overtakes."""
    return len(texts) > INTERACTIVE_TEXTS or sum(map(len, texts)) > SHORT_CHARACTERS


async def _outcomes(jobs: Sequence[Job]) -> list[ChajaError | None]:
    outcomes: list[ChajaError | None] = []
    for job in jobs:
        try:
            await job.done
            outcomes.append(None)
        except ChajaError as error:
            outcomes.append(error)
    return outcomes
