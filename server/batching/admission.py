"""Decides whether a call may wait, before anything is spent on it.

The wait is predicted from the tokens in the queue and the measured speed of the workers. The rule is the same for one
query, for a batch and for each query of a stream.
"""

import logging
import math
import time

from server.batching.queue import BULK_SHARE, Queue
from server.batching.speed import Speed
from server.errors import Overloaded

log = logging.getLogger(__name__)

ADMITTED_SHARE = 0.7
"""Of the longest wait: predictions err, and what was let in and waits too long after all is refused late."""

TELLING_SECONDS = 10.0
"""Time between two lines of the log that tell of refusals; the metrics count each of them."""


class Admission:
    """The bound on waiting work. Used on the event loop only.

    `bulk_characters` is the length of all bulk texts that were let in and are not done yet; the queue holds few of them
    at a time. Interactive texts are in the queue as soon as they are let in.
    """

    def __init__(self, queue: Queue, speed: Speed, *, workers: int, longest_wait_seconds: float) -> None:
        self._queue = queue
        self._speed = speed
        self._workers = workers
        self._longest_wait_seconds = longest_wait_seconds
        self.bulk_characters = 0
        self._told = -math.inf

    def predicted_wait_seconds(self, *, bulk: bool) -> float:
        """Returns how long a text that comes now would wait for a worker: no less than the first in its line has."""
        interactive = self._queue.interactive.tokens
        waiting_bulk = self.bulk_characters * self._speed.tokens_per_character
        if bulk:
            ahead = min(interactive + waiting_bulk, waiting_bulk * BULK_SHARE)
        else:
            ahead = interactive * (BULK_SHARE / (BULK_SHARE - 1) if waiting_bulk else 1.0)
        lane = self._queue.bulk if bulk else self._queue.interactive
        return max(lane.oldest_seconds, ahead * self._speed.seconds_per_token / self._workers)

    def overload(self, *, bulk: bool) -> Overloaded | None:
        """Returns why nobody is let in now, whatever they ask; None if somebody may be."""
        wait = self.predicted_wait_seconds(bulk=bulk)
        if wait <= self._longest_wait_seconds * ADMITTED_SHARE:
            return None
        now = time.monotonic()
        if now >= self._told + TELLING_SECONDS:
            self._told = now
            log.warning("overloaded: calls are refused that would wait %.0f ms", wait * 1000)
        return Overloaded(wait)

    def admit(self, *, characters: int, bulk: bool, remaining_seconds: float) -> None:
        """Admits a call whose texts have so many characters in all.

        Bulk work is counted in `bulk_characters`; the caller subtracts it again as its texts are done.

        Raises:
            Overloaded: It would wait longer than is allowed, or could not be answered within its deadline.
        """
        overload = self.overload(bulk=bulk)
        if overload is not None:
            raise overload
        wait = self.predicted_wait_seconds(bulk=bulk)
        own = characters * self._speed.tokens_per_character * self._speed.seconds_per_token
        if wait + (own / self._workers if bulk else own) > remaining_seconds:
            if not wait:
                self._speed.doubt()
            raise Overloaded(wait, remaining_seconds=remaining_seconds)
        if bulk:
            self.bulk_characters += characters
