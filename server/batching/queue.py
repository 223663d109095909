"""The queue between the tokenizer and the encoding workers, first come first served.

A worker that is free takes at once what waits, and never waits for company: batches
grow by themselves when callers are faster than the workers.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence

from server.batching.job import Job


class Queue:
    """Jobs that are tokenized and wait for a worker. Safe to share between threads."""

    def __init__(self, *, workers: int, max_batch_tokens: int) -> None:
        self._workers = workers
        self._max_batch_tokens = max_batch_tokens
        self._jobs: deque[Job] = deque()
        self._changed = threading.Condition()
        self._closed = False

    def __len__(self) -> int:
        return len(self._jobs)

    def put(self, jobs: Sequence[Job]) -> None:
        """Lets jobs wait for a worker."""
        with self._changed:
            self._jobs.extend(jobs)
            self._changed.notify(len(jobs))

    def take(self) -> list[Job]:
        """Blocks until jobs wait, then takes a worker's share of them, within the token budget but at least one.

        Jobs whose callers have given up are dropped. An empty list means that the queue is closed and empty.
        """
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._jobs or self._closed)
                if not self._jobs:
                    return []
                batch = self._take_share()
                if batch:
                    return batch

    def close(self) -> None:
        """Lets the workers take what still waits, and then end."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _take_share(self) -> list[Job]:
        share = -(-len(self._jobs) // self._workers)  # Rounded up; the rest is left to the other workers.
        batch: list[Job] = []
        tokens = 0
        while self._jobs and len(batch) < share:
            if batch and tokens + self._jobs[0].token_count > self._max_batch_tokens:
                break
            job = self._jobs.popleft()
            if not job.done.done():
                batch.append(job)
                tokens += job.token_count
        return batch
