"""The workers: threads that take batches from the queue, encode them and search the index.

A worker wakes the event loop once a batch.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Sequence

from server.batching.job import Job
from server.batching.queue import Queue
from server.batching.speed import Speed
from server.encoding.bundle import Bundle
from server.errors import ChajaError, DeadlinePassed, EncodingFailed, NotReady, Overloaded
from server.logs.texts import UserText
from server.metrics import Metrics
from server.priority import CALL_NICENESS, give_way
from server.ranking.found import Found
from server.ranking.options import SearchOptions
from server.ranking.search import search
from server.ranking.served import Served, ServedIndex
from server.sharding.shard import StateGone

log = logging.getLogger(__name__)

SEARCH_TRIES = 3
"""Times that shards are asked, each time for their newest state, while a shard has no longer the one asked for."""


class Workers:
    """The threads. They end when the queue is closed and empty.

    Attributes:
        alive: Number of threads that have not died.
        death: Done once a thread has died. Errors of a batch do not kill its thread.
    """

    def __init__(
        self, queue: Queue, bundle: Bundle, index: ServedIndex, *, count: int, speed: Speed, metrics: Metrics
    ) -> None:
        """Starts the threads; `speed` learns from every batch."""
        self._queue = queue
        self._bundle = bundle
        self._index = index
        self._speed = speed
        self._metrics = metrics
        self._loop = asyncio.get_running_loop()
        self.death: asyncio.Future[None] = self._loop.create_future()
        self._threads = [
            threading.Thread(target=self._work, args=(number,), name=f"worker-{number}", daemon=True)
            for number in range(count)
        ]
        self.alive = count
        for thread in self._threads:
            thread.start()

    @property
    def broken(self) -> bool:
        """Whether a thread has died."""
        return self.alive < len(self._threads)

    def join(self) -> None:
        """Waits for the threads to end."""
        for thread in self._threads:
            thread.join()

    def _work(self, number: int) -> None:
        give_way(CALL_NICENESS)
        busy_seconds = self._metrics.workers.busy_seconds[number]
        jobs: list[Job] = []
        try:
            while (batch := self._queue.take(seconds_per_token=self._speed.per_token.value)) is not None:
                started = time.monotonic()
                jobs = batch.jobs
                if batch.dropped:
                    self._metrics.workers.dropped_texts.inc(len(batch.dropped))
                    self._fail_dropped(batch.dropped, started)
                if not jobs:
                    continue
                new = [job for job in jobs if not job.encoded]
                tokens = sum(job.encoded_tokens for job in new)
                searching_seconds = self._answer(jobs)
                seconds = time.monotonic() - started
                busy_seconds.inc(seconds)
                if tokens:
                    self._speed.learn(
                        tokens=tokens,
                        tokens_per_character=self._tokens_per_character(new),
                        seconds=max(0.0, seconds - searching_seconds),
                    )
        except BaseException:  # Errors of a batch are handled in _answer.
            log.critical("a worker died", exc_info=True)
            self._resolve(jobs, NotReady("a worker of the server died; try another server"))
            self._loop.call_soon_threadsafe(self._count_death)
        finally:
            self._queue.leave()

    def _fail_dropped(self, dropped: Sequence[Job], now: float) -> None:
        """Fails dropped jobs; cancelled ones need no answer."""
        waiting = [job for job in dropped if not job.done.done()]
        if expired := [job for job in waiting if job.deadline <= now]:
            self._resolve(expired, DeadlinePassed())
        if late := [job for job in waiting if now < job.deadline]:
            self._resolve(late, Overloaded(now - late[0].arrived))

    def _count_death(self) -> None:
        self.alive -= 1
        if not self.death.done():
            self.death.set_result(None)
        if not self.alive:
            self._queue.close()  # Later jobs are rejected.
            _settle(self._queue.take_all(), NotReady("all workers of the server died; try another server"))

    def _tokens_per_character(self, jobs: Sequence[Job]) -> float:
        tokens = sum(job.tokens.whole_count - self._bundle.fixed_tokens[job.kind] for job in jobs if job.tokens)
        return max(0, tokens) / sum(len(job.text) for job in jobs)

    def _answer(self, jobs: list[Job]) -> float:
        """Encodes, searches and resolves a batch; returns the seconds of its searches."""
        searching_seconds = 0.0
        for job in jobs:
            job.batch_texts = len(jobs)
            job.stopwatch.lap("queue")
        try:
            self._encode([job for job in jobs if not job.encoded])
            searching_seconds = self._search(jobs)
        except Exception as error:
            if len(jobs) == 1:
                failed = EncodingFailed()
                ids = {"request_id": jobs[0].call.request_id} if jobs[0].call is not None else None
                log.error(
                    "incident %s with a text (%s)", failed.incident, UserText(jobs[0].text), exc_info=error, extra=ids
                )
                self._resolve(jobs, failed)
                return searching_seconds
            for job in jobs:  # Try each alone, so that a text that breaks the model fails only its own job.
                if job.wanted(time.monotonic()):
                    searching_seconds += self._answer([job])
                else:
                    self._resolve([job], DeadlinePassed())
            return searching_seconds
        self._resolve(jobs, None)
        return searching_seconds

    def _encode(self, jobs: Sequence[Job]) -> None:
        if not jobs:
            return
        tokens = [job.tokens for job in jobs if job.tokens]
        self._metrics.workers.batch_texts.observe(len(jobs))
        self._metrics.workers.batch_tokens.observe(sum(len(each.ids) for each in tokens))
        began, started = time.perf_counter(), time.thread_time()
        vectors = self._bundle.encode(tokens)
        self._metrics.workers.encode_cpu_seconds.inc(time.thread_time() - started)
        for job, vector in zip(jobs, vectors, strict=True):
            job.vector = vector
            job.stopwatch.lap("encode")
        _trace_batch(jobs, began)

    def _search(self, jobs: Sequence[Job]) -> float:
        """Searches for the jobs of a batch that have options; returns the seconds that this took."""
        now, started = time.monotonic(), time.perf_counter()
        searched = [job for job in jobs if job.options is not None]
        waiting = [job for job in searched if job.wanted(now)]
        self._fail_dropped([job for job in searched if not job.wanted(now)], now)
        # By text, as equal queries are searched once. A filter may leave few rows to compare.
        unfiltered = [job for job in waiting if job.options and job.options.filter is None]
        vectors = {job.text: job.vector for job in unfiltered if job.vector is not None}
        state = self._index.state.comparing(list(vectors.values()))
        shared: dict[tuple[str, str | None, SearchOptions], Found] = {}  # Equal queries of a batch are searched once.
        comparing_seconds = time.perf_counter() - started
        total_seconds = comparing_seconds
        for job in waiting:
            assert job.options is not None
            key = job.text, job.words, job.options
            # Not with a filter: Python compares 1 and True as equal.
            job.found = shared.get(key) if job.options.filter is None else None
            if job.found is None:
                started = time.perf_counter()
                try:
                    job.found = self._found(job, job.options, state)
                except ChajaError as error:  # A shard does not answer.
                    self._resolve([job], error)
                    continue
                shared[key] = job.found
                seconds = time.perf_counter() - started
                total_seconds += seconds
                share = comparing_seconds / len(vectors) if job.vector is not None and vectors else 0.0
                self._speed.learn_search(job.options, seconds=seconds + share)
            job.stopwatch.lap("search")
        return total_seconds

    def _found(self, job: Job, options: SearchOptions, state: Served) -> Found:
        """Returns the documents that a search finds."""
        for left in reversed(range(SEARCH_TRIES)):
            if options.allow_partial:
                state = state.partial()
            try:
                found = search(state, job.text, job.vector, options, words=job.words)
                return found._replace(shard_count=state.shard_count, missing_shards=state.missing_shards)
            except StateGone:
                if not left:
                    raise
                state = self._index.state
        raise AssertionError("the last try returns or raises")

    def _resolve(self, jobs: Sequence[Job], error: ChajaError | None) -> None:
        """Resolves the jobs, on the event loop."""
        self._loop.call_soon_threadsafe(_settle, jobs, error)


def _trace_batch(jobs: Sequence[Job], began: float) -> None:
    """Makes the span of an encoded batch, if a call of its texts is traced."""
    traced = [(job, job.call.trace) for job in jobs if job.call is not None and job.call.trace is not None]
    if traced:
        traces = [trace for _, trace in traced]
        tokens = sum(len(job.tokens.ids) for job in jobs if job.tokens)
        attributes = {"chaja.batch_texts": len(jobs), "chaja.batch_tokens": tokens}
        span = traces[0].batch(traces, started=began, ended=time.perf_counter(), attributes=attributes)
        for job, _ in traced:
            job.batch_span = span


def _settle(jobs: Sequence[Job], error: ChajaError | None) -> None:
    for job in jobs:
        if not job.done.done():
            if error is None:
                job.done.set_result(None)
            else:
                job.done.set_exception(error)
