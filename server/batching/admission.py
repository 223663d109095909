"""Admits or rejects a call before any work is done for it.

The wait is predicted from the tokens in the queue and the measured speed of the workers; a search counts as the tokens
that could be encoded in its time. One rule applies to a single query, to a batch and to each query of a stream.
"""

import logging
import math
import time

from server.batching.queue import BULK_SHARE, Queue
from server.batching.speed import Speed
from server.defaults import ADMITTED_SHARE
from server.errors import Overloaded

log = logging.getLogger(__name__)

LOG_INTERVAL_SECONDS = 10.0
"""Least time between two log lines about rejected calls; the metrics count every one."""


class Admission:
    """Admission control for the queue. Used on the event loop only.

    `bulk_tokens` is the estimated work of all bulk texts that were admitted and are not done yet; the queue holds only
    some of them at a time. Interactive texts enter the queue as soon as they are admitted.
    """

    def __init__(self, queue: Queue, speed: Speed, *, workers: int, longest_wait_seconds: float) -> None:
        self._queue = queue
        self._speed = speed
        self._workers = workers
        self._longest_wait_seconds = longest_wait_seconds
        self.bulk_tokens = 0
        self._logged_at = -math.inf

    def predicted_wait_seconds(self, *, bulk: bool) -> float:
        """Returns the predicted queue wait of a new text: at least the time that the oldest in its lane has waited.

        Any thread may call it.
        """
        interactive = self._queue.interactive.tokens
        if bulk:
            ahead: float = min(interactive + self.bulk_tokens, self.bulk_tokens * BULK_SHARE)
        else:
            ahead = interactive * (BULK_SHARE / (BULK_SHARE - 1) if self.bulk_tokens else 1.0)
        lane = self._queue.bulk if bulk else self._queue.interactive
        return max(lane.oldest_seconds, ahead * self._speed.per_token.value / self._workers)

    def overload(self, *, bulk: bool) -> Overloaded | None:
        """Returns the error with which every call is rejected at present; None while calls are admitted."""
        wait = self.predicted_wait_seconds(bulk=bulk)
        if wait <= self._longest_wait_seconds * ADMITTED_SHARE:
            return None
        now = time.monotonic()
        if now >= self._logged_at + LOG_INTERVAL_SECONDS:
            self._logged_at = now
            log.warning("overloaded: rejecting calls; they would wait %.0f ms in the queue", wait * 1000)
        return Overloaded(wait)

    def admit(self, *, tokens: int, bulk: bool, remaining_seconds: float) -> None:
        """Admits a call with this estimated work.

        Adds bulk work to `bulk_tokens`; the caller subtracts it as the texts finish. Raises Overloaded if the call
        would wait too long, or could not be answered before its deadline.
        """
        overload = self.overload(bulk=bulk)
        if overload is not None:
            raise overload
        wait = self.predicted_wait_seconds(bulk=bulk)
        if bulk:  # Its texts fill batches, and all workers take them.
            own = tokens * self._speed.per_token_of_full_batch.value / self._workers
        else:
            own = tokens * self._speed.per_token.value
        if wait + own > remaining_seconds:
            if not wait:
                self._speed.doubt()
            raise Overloaded(wait, remaining_seconds=remaining_seconds)
        if bulk:
            self.bulk_tokens += tokens
