"""Bounds the lines about events that clients can repeat."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass

from server.logs.dropped import DROPPED


@dataclass(slots=True)
class _Window:
    """The time since a line of a key that was the first after a pause."""

    ends_at: float
    lines: int = 0
    not_logged: int = 0


class Rate:
    """Allows at most some lines in some seconds for each key. Any thread may use it. The caller bounds the keys."""

    def __init__(self, *, lines: int, seconds: float) -> None:
        self._lines = lines
        self._seconds = seconds
        self._lock = threading.Lock()
        self._windows: dict[str, _Window] = {}

    def allow(self, key: str = "") -> int | None:
        """Returns how many events were not logged since the last line, or None if this one must not be logged."""
        now = time.monotonic()
        with self._lock:
            window = self._windows.get(key)
            if window is None:
                window = self._windows[key] = _Window(now + self._seconds)
            elif now >= window.ends_at:
                window.ends_at, window.lines = now + self._seconds, 0
            if window.lines < self._lines:
                window.lines += 1
                not_logged, window.not_logged = window.not_logged, 0
                return not_logged
            window.not_logged += 1
        DROPPED.add()
        return None


class RepeatedLine:
    """A warning about an event that clients can repeat: at most one line a minute."""

    def __init__(self, log: logging.Logger, message: str) -> None:
        """Takes a message with one `%d`, for the number of events so far."""
        self._log = log
        self._message = message
        self._rate = Rate(lines=1, seconds=60)
        self._lock = threading.Lock()
        self._count = 0

    def add(self) -> None:
        """Counts an event. Any thread may use it."""
        with self._lock:
            self._count += 1
            count = self._count
        if self._rate.allow() is not None:
            self._log.warning(self._message, count)
