"""Reads that wait while the database is away, so that its restart fails none of them."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from server.errors import ChangesLost, StoreUnavailable

PATIENCE_SECONDS = 10.0
"""Time from the begin of an outage for which reads wait. A client's deadline should be longer."""

PAUSE_SECONDS = 0.1
"""Time between two attempts of a read that waits."""

TRY_SECONDS = 1.0
"""Time between two attempts of all reads in a longer outage. A database that does not answer takes seconds to fail."""

T = TypeVar("T")


class Patience:
    """Repeats reads while the database is away. After `PATIENCE_SECONDS` reads fail at once. Any thread may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._error: StoreUnavailable | None = None
        self._away_since = self._tried = 0.0

    def read(self, read: Callable[[], T]) -> T:
        """Returns the result of a read; raises StoreUnavailable if the database stays away."""
        started = time.monotonic()
        while True:
            self._check()
            try:
                found = read()
            except ChangesLost:
                raise
            except StoreUnavailable as error:
                if time.monotonic() >= min(started, self._miss(error)) + PATIENCE_SECONDS:
                    raise
                if self._closed.wait(PAUSE_SECONDS):
                    raise
            else:
                self._error = None
                return found

    def close(self) -> None:
        """Ends the waiting."""
        self._closed.set()

    def _check(self) -> None:
        """Raises the last error again if the outage is long, and another read has just tried."""
        with self._lock:
            error, now = self._error, time.monotonic()
            if error is None or now < self._away_since + PATIENCE_SECONDS:
                return
            if now < self._tried + TRY_SECONDS:
                raise StoreUnavailable(str(error))
            self._tried = now

    def _miss(self, error: StoreUnavailable) -> float:
        """Notes that the database is away; returns since when."""
        with self._lock:
            now = time.monotonic()
            if self._error is None or now > self._tried + PATIENCE_SECONDS:  # It may have been back in between.
                self._away_since = now
            self._error, self._tried = error, now
            return self._away_since
