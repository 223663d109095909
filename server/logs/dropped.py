"""Counts the log lines that were not written."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Dropped:
    """The lines that did not fit into the queue, could not be written, or were above their rate. For any thread."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # A signal handler may log while its thread holds it.
        self._count = 0
        self._receive: Callable[[float], object] | None = None

    def add(self, count: int = 1) -> None:
        """Counts lines."""
        with self._lock:
            self._count += count
            if self._receive is not None:
                self._receive(count)

    def deliver(self, receive: Callable[[float], object]) -> None:
        """Calls `receive` with the number of lines so far, and with every later number."""
        with self._lock:
            self._receive = receive
            receive(self._count)


DROPPED = Dropped()
"""Of this process, which has one log."""
