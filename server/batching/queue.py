"""The queue between tokenizing and the workers: interactive work before bulk work, each in order of arrival.

A free worker takes the waiting jobs at once and never waits for more: batches grow only when calls arrive faster than
the workers finish. While both kinds wait, bulk work gets one token in `BULK_SHARE`, so that it does not starve and
interactive queries are hardly delayed. Batches of bulk work are small, because an interactive query may arrive while
one is encoded. A long text cannot be divided: while interactive queries arrive, one worker takes no long bulk texts.
"""

import math
import threading
import time
from bisect import insort
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from server.batching.job import Job
from server.encoding.native.encoder import RUN_TOKENS

BULK_SHARE = 8
"""While interactive work waits, one token in this many goes to bulk work."""

BULK_BATCH_TOKENS_SHARED = 48
"""Most tokens in a batch of bulk work while interactive queries arrive: the next one may have to wait for the batch.
Otherwise a batch of bulk work is a full run of the native encoder."""

INTERACTIVE_EXPECTED_SECONDS = 1.0
"""Time after an interactive query during which another one is expected."""

BATCH_SHARE = 0.5
"""Share of the first job's remaining wait that a batch may take. The rest is for jobs that arrive meanwhile."""

MIN_BATCH_SECONDS = 0.05
"""Time that a batch may always take."""


@dataclass(slots=True)
class Batch:
    """The jobs that a worker takes. Those in `dropped` were cancelled, have expired or have waited too long."""

    jobs: list[Job] = field(default_factory=list)
    dropped: list[Job] = field(default_factory=list)


class Lane:
    """Jobs of one kind, in order of arrival. Outside the queue's lock, its figures are approximate."""

    def __init__(self, *, longest_wait_seconds: float = math.inf) -> None:
        self.jobs: deque[Job] = deque()
        self.tokens = 0
        self._longest_wait_seconds = longest_wait_seconds

    @property
    def oldest_seconds(self) -> float:
        """Time that the first job has waited."""
        try:
            return time.monotonic() - self.jobs[0].arrived
        except IndexError:  # Empty, or a worker has just taken the last job.
            return 0.0

    @property
    def remaining_seconds(self) -> float:
        """Time that the first job may still wait; negative once it has waited too long."""
        return self._longest_wait_seconds - self.oldest_seconds

    def put(self, job: Job) -> None:
        """Inserts a job by its arrival: one that first waited for an equal query does not wait again."""
        if not self.jobs or self.jobs[-1].arrived <= job.arrived:
            self.jobs.append(job)
        else:
            insort(self.jobs, job, key=lambda each: each.arrived)
        self.tokens += job.token_count

    def take(self, batch: Batch, *, most_texts: int, most_tokens: float) -> int:
        """Moves jobs into a batch, at least one and otherwise within both bounds; returns their tokens."""
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
    """Tokenized jobs that wait for a worker. Safe to share between threads."""

    def __init__(self, *, workers: int, max_batch_tokens: int, longest_wait_seconds: float = math.inf) -> None:
        """Makes an empty queue; it drops interactive jobs that have waited more than `longest_wait_seconds`."""
        self._workers = workers
        self._max_batch_tokens = max_batch_tokens
        self.interactive = Lane(longest_wait_seconds=longest_wait_seconds)
        self.bulk = Lane()
        self._bulk_credit = 0.0
        self._interactive_seen = -math.inf
        self._long: set[int] = set()  # The threads of the workers that have a long bulk text.
        self._changed = threading.Condition()
        self._closed = False

    def __len__(self) -> int:
        return len(self.interactive.jobs) + len(self.bulk.jobs)

    def put(self, jobs: Sequence[Job]) -> bool:
        """Adds jobs; returns False, and adds none, if the queue is closed."""
        with self._changed:
            if self._closed:
                return False
            for job in jobs:
                (self.bulk if job.bulk else self.interactive).put(job)
            if not all(job.bulk for job in jobs):
                self._interactive_seen = time.monotonic()
            self._changed.notify(len(jobs))
            return True

    def take(self, *, seconds_per_token: float = 0.0) -> Batch | None:
        """Blocks until jobs wait, then takes a worker's share of them: at least one, otherwise within the token budget.

        The worker's speed bounds the time of an interactive batch. Returns None if the queue is closed and empty.
        """
        with self._changed:
            self._finish_long()
            while not self._closed and not self.interactive.jobs and (not self.bulk.jobs or self._is_reserved()):
                self._changed.wait(self._shared_seconds if self.bulk.jobs else None)
            return self._take_share(seconds_per_token) if len(self) else None

    def leave(self) -> None:
        """Ends the work of the calling worker, which takes no more."""
        with self._changed:
            self._finish_long()

    def take_all(self) -> list[Job]:
        """Takes all waiting jobs."""
        with self._changed:
            batch, waiting = Batch(), len(self)
            for lane in (self.interactive, self.bulk):
                lane.take(batch, most_texts=waiting, most_tokens=lane.tokens)
            return batch.jobs + batch.dropped

    def close(self) -> None:
        """Accepts no more jobs; the workers end after they have taken the rest."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def _shared_seconds(self) -> float:
        """Time for which interactive queries are expected from now on."""
        return max(0.0, self._interactive_seen + INTERACTIVE_EXPECTED_SECONDS - time.monotonic())

    def _is_reserved(self) -> bool:
        """Returns whether the calling worker is the last one without a long text, and the next bulk text is long."""
        is_long = self.bulk.jobs[0].token_count > BULK_BATCH_TOKENS_SHARED
        last = 1 < self._workers == len(self._long) + 1
        return is_long and last and self._shared_seconds > 0 and not self._closed

    def _finish_long(self) -> None:
        if threading.get_ident() in self._long:
            self._long.remove(threading.get_ident())
            self._changed.notify()  # A worker may wait to take a long text.

    def _take_share(self, seconds_per_token: float) -> Batch:
        batch = Batch()
        waiting = self.interactive if self.interactive.jobs else self.bulk
        if waiting is self.interactive and self.bulk.jobs and self._bulk_credit >= self.bulk.jobs[0].token_count:
            waiting = self.interactive if self._is_reserved() else self.bulk
        share = -(-len(waiting.jobs) // self._workers)  # Rounded up; the other workers take the rest.
        if waiting is self.interactive:
            tokens = waiting.take(batch, most_texts=share, most_tokens=self._budget(seconds_per_token))
            # Bulk work earns credit only while it waits, and spends it soon: it never has much.
            self._bulk_credit = self._bulk_credit + tokens / (BULK_SHARE - 1) if self.bulk.jobs else 0.0
        else:
            budget = min(BULK_BATCH_TOKENS_SHARED if self._shared_seconds else RUN_TOKENS, self._max_batch_tokens)
            if self.interactive.jobs:  # Take no more than the credit while interactive work waits.
                budget = min(budget, int(self._bulk_credit))
            tokens = waiting.take(batch, most_texts=share, most_tokens=budget)
            self._bulk_credit = self._bulk_credit - tokens if self.interactive.jobs else 0.0
            if tokens > BULK_BATCH_TOKENS_SHARED:
                self._long.add(threading.get_ident())
        return batch

    def _budget(self, seconds_per_token: float) -> float:
        """Returns the tokens of an interactive batch that ends before its first job exceeds the longest wait."""
        batch_seconds = max(BATCH_SHARE * self.interactive.remaining_seconds, MIN_BATCH_SECONDS)
        return min(self._max_batch_tokens, batch_seconds / seconds_per_token if seconds_per_token else math.inf)
