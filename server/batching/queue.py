"""The queue between tokenizing and the workers: interactive work first, then bulk work, each first come first served.

A worker that is free takes at once what waits, and never waits for company: batches grow by themselves when callers
are faster than the workers. While both kinds wait, bulk work gets one token in `BULK_SHARE`: interactive queries
hardly feel it, and it does not starve. Its batches are small, because an interactive query may come while one is
encoded.
"""

import math
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from server.batching.job import Job

BULK_SHARE = 8
"""While interactive work waits, one token in so many goes to bulk work."""

BULK_BATCH_TOKENS = 168
"""Most tokens in a batch of bulk work, but at least one text: a full run of the native encoder, some 10 ms."""

BULK_BATCH_TOKENS_BESIDE = 48
"""The same while interactive queries come, for the next one may have to wait for it."""

BESIDE_SECONDS = 1.0
"""Time for which another interactive query is expected after one."""


@dataclass(slots=True)
class Batch:
    """What a worker takes: jobs to do, and jobs that nobody waits for any more, or that have waited too long."""

    jobs: list[Job] = field(default_factory=list)
    dropped: list[Job] = field(default_factory=list)


class Lane:
    """Jobs of one kind, in the order of arrival. Its figures are approximate outside the queue's lock."""

    def __init__(self, *, longest_wait_seconds: float = math.inf) -> None:
        self.jobs: deque[Job] = deque()
        self.tokens = 0
        self._longest_wait_seconds = longest_wait_seconds

    @property
    def oldest_seconds(self) -> float:
        """How long the first has waited."""
        try:
            return time.monotonic() - self.jobs[0].arrived
        except IndexError:  # Others may take it meanwhile.
            return 0.0

    def put(self, job: Job) -> None:
        """Appends a job."""
        self.jobs.append(job)
        self.tokens += job.token_count

    def take(self, batch: Batch, *, most_texts: int, most_tokens: float) -> int:
        """Moves jobs into a batch within both bounds, but at least one; returns their tokens."""
        now = time.monotonic()
        tokens = 0
        while self.jobs and len(batch.jobs) < most_texts:
            size = self.jobs[0].token_count
            if batch.jobs and tokens + size > most_tokens:
                break
            job = self.jobs.popleft()
            self.tokens -= size
            if job.wanted(now) and now - job.arrived <= self._longest_wait_seconds:
                batch.jobs.append(job)
                tokens += size
            else:
                batch.dropped.append(job)
        return tokens


class Queue:
    """Jobs that are tokenized and wait for a worker. Safe to share between threads."""

    def __init__(self, *, workers: int, max_batch_tokens: int, longest_wait_seconds: float = math.inf) -> None:
        """Makes an empty queue; interactive work is not taken after it has waited longest, whatever was predicted."""
        self._workers = workers
        self._max_batch_tokens = max_batch_tokens
        self.interactive = Lane(longest_wait_seconds=longest_wait_seconds)
        self.bulk = Lane()
        self._bulk_credit = 0.0
        self._interactive_seen = -math.inf
        self._changed = threading.Condition()
        self._closed = False

    def __len__(self) -> int:
        return len(self.interactive.jobs) + len(self.bulk.jobs)

    def put(self, jobs: Sequence[Job]) -> bool:
        """Lets jobs wait for a worker; returns False, and takes none, if the queue is closed."""
        with self._changed:
            if self._closed:
                return False
            for job in jobs:
                (self.bulk if job.bulk else self.interactive).put(job)
            if not all(job.bulk for job in jobs):
                self._interactive_seen = time.monotonic()
            self._changed.notify(len(jobs))
            return True

    def take(self, *, max_tokens: float = math.inf) -> Batch | None:
        """Blocks until jobs wait, then takes a worker's share of them, within the token budget but at least one.

        `max_tokens` narrows the budget. None means that the queue is closed and empty.
        """
        with self._changed:
            while not len(self) and not self._closed:
                self._changed.wait()
            return self._take_share(min(max_tokens, self._max_batch_tokens)) if len(self) else None

    def take_all(self) -> list[Job]:
        """Takes everything that waits, at once."""
        with self._changed:
            batch, waiting = Batch(), len(self)
            for lane in (self.interactive, self.bulk):
                lane.take(batch, most_texts=waiting, most_tokens=lane.tokens)
            return batch.jobs + batch.dropped

    def close(self) -> None:
        """Lets the workers take what still waits, and then end."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _take_share(self, max_tokens: float) -> Batch:
        batch = Batch()
        waiting = self.interactive if self.interactive.jobs else self.bulk
        if waiting is self.interactive and self.bulk.jobs and self._bulk_credit >= self.bulk.jobs[0].token_count:
            waiting = self.bulk
        share = -(-len(waiting.jobs) // self._workers)  # Rounded up; the rest is left to the other workers.
        if waiting is self.interactive:
            tokens = waiting.take(batch, most_texts=share, most_tokens=max_tokens)
            # Credit is earned only while somebody waits for it, and is spent soon: there is never much of it.
            self._bulk_credit = self._bulk_credit + tokens / (BULK_SHARE - 1) if self.bulk.jobs else 0.0
        else:
            beside = time.monotonic() - self._interactive_seen < BESIDE_SECONDS
            budget = min(BULK_BATCH_TOKENS_BESIDE if beside else BULK_BATCH_TOKENS, max_tokens)
            if self.interactive.jobs:  # Others wait: no more than what was earned.
                budget = min(budget, int(self._bulk_credit))
            tokens = waiting.take(batch, most_texts=share, most_tokens=budget)
            self._bulk_credit = self._bulk_credit - tokens if self.interactive.jobs else 0.0
        return batch
