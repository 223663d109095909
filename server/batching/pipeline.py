"""Takes jobs through the stages: tokenize → queue → encode → search.

One thread tokenizes; `threads` workers each take a batch from the queue, encode it
and search the index with it. The event loop is woken once a batch.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import Sequence

import numpy as np

from server.batching.job import Job
from server.batching.queue import Queue
from server.encoding.bundle import Bundle
from server.errors import EncodingFailed, NoTokens, NotReady, TooManyTokens, new_incident
from server.index.exact import ExactIndex
from server.metrics import Metrics

log = logging.getLogger(__name__)

SLICE_TEXTS = 32
"""Texts of one call that are in the stages at a time."""


class Pipeline:
    """The threads that do the work, and the ways to them."""

    def __init__(
        self, bundle: Bundle, index: ExactIndex, *, threads: int, max_batch_tokens: int, metrics: Metrics
    ) -> None:
        self._bundle = bundle
        self._index = index
        self._metrics = metrics
        self._arrivals: queue.SimpleQueue[Sequence[Job] | None] = queue.SimpleQueue()
        self._queue = Queue(workers=threads, max_batch_tokens=max_batch_tokens)
        self._open = threading.Lock()
        self._closed = False
        self._loop = asyncio.get_running_loop()
        self._threads = [threading.Thread(target=self._tokenize_arrivals, name="tokenizer", daemon=True)]
        self._threads += [
            threading.Thread(target=self._encode_batches, name=f"encoder-{number}", daemon=True)
            for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()
        metrics.queue_texts.set_function(lambda: len(self._queue))

    async def run(self, jobs: Sequence[Job]) -> list[BaseException | None]:
        """Takes the jobs of one call through all stages; returns for each what went wrong with it, or None.

        A large call goes in slices, so that it does not stand in front of all the others. When the caller is
        cancelled, so are its jobs.

        Raises:
            NotReady: The pipeline was closed.
        """
        outcomes: list[BaseException | None] = []
        for start in range(0, len(jobs), SLICE_TEXTS):
            part = jobs[start : start + SLICE_TEXTS]
            for job in part:
                job.stopwatch.restart()
            with self._open:  # What came behind the None would never be read.
                if self._closed:
                    raise NotReady("the server is shutting down; try again")
                self._arrivals.put(part)
            outcomes += await asyncio.gather(*(job.done for job in part), return_exceptions=True)
        return outcomes

    def close(self) -> None:
        """Lets the threads finish what they have, and ends them. Blocks; the event loop must be running."""
        with self._open:
            self._closed = True
            self._arrivals.put(None)
        for thread in self._threads:
            thread.join()

    def _tokenize_arrivals(self) -> None:
        while (arrived := self._arrivals.get()) is not None:
            jobs = [job for job in arrived if not job.done.done()]
            try:
                self._queue.put(self._tokenize(jobs))
            except Exception:
                self._resolve(jobs, _incident("tokenizing", jobs))
        self._queue.close()

    def _tokenize(self, jobs: Sequence[Job]) -> list[Job]:
        """Tokenizes jobs; returns those that are short enough and refuses the others."""
        passed = []
        for job, tokens in zip(jobs, self._bundle.tokenize([(job.text, job.kind) for job in jobs]), strict=True):
            job.tokens = tokens
            job.stopwatch.lap("tokenize")
            if not tokens.ids:
                self._resolve([job], NoTokens())
            elif tokens.cut and not job.truncate:
                max_tokens = self._bundle.manifest.tower(job.kind).max_tokens
                self._resolve([job], TooManyTokens(tokens.whole_count, max_tokens))
            else:
                passed.append(job)
        return passed

    def _encode_batches(self) -> None:
        while batch := self._queue.take():
            try:
                self._encode(batch)
                self._resolve(batch, None)
            except Exception:
                self._resolve(batch, _incident("encoding", batch))

    def _encode(self, batch: list[Job]) -> None:
        for job in batch:
            job.batch_texts = len(batch)
            job.stopwatch.lap("queue")
        vectors = self._bundle.encode([job.tokens for job in batch if job.tokens])
        for job, vector in zip(batch, vectors, strict=True):
            job.vector = vector
            job.stopwatch.lap("encode")
        self._metrics.batch_texts.observe(len(batch))
        self._metrics.batch_tokens.observe(sum(job.token_count for job in batch))
        rows = [row for row, job in enumerate(batch) if job.limit is not None]
        if rows:
            limits = [batch[row].limit or 0 for row in rows]
            for row, matches in zip(rows, self._index.search(vectors[np.array(rows)], limits), strict=True):
                batch[row].matches = matches
            for row in rows:
                batch[row].stopwatch.lap("search")

    def _resolve(self, jobs: Sequence[Job], error: Exception | None) -> None:
        """Wakes the callers, on the event loop."""
        self._loop.call_soon_threadsafe(_resolve_futures, jobs, error)


def _incident(doing: str, jobs: Sequence[Job]) -> EncodingFailed:
    """Logs the exception being handled; returns what the callers are told."""
    incident = new_incident()
    log.exception("incident %s in %s %d texts", incident, doing, len(jobs))
    return EncodingFailed(incident)


def _resolve_futures(jobs: Sequence[Job], error: Exception | None) -> None:
    for job in jobs:
        if job.done.done():
            continue
        if error is None:
            if job.limit is not None:
                job.stopwatch.lap("fetch")
            job.done.set_result(None)
        else:
            job.done.set_exception(error)
