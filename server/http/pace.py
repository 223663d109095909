"""Bounds the CPU time of an event loop, whatever its clients make it do."""

import selectors
import time

CPU_SHARE = 0.1
"""Share of a core that the loop may use for long."""

BURST_SECONDS = 0.1
"""CPU time that the loop may use at once, so that an answer on a quiet port is not delayed."""

MAX_PAUSE_SECONDS = 1.0
"""Maximum pause, so that a probe is answered in time."""


class PacedSelector(selectors.DefaultSelector):
    """Lets the event loop of a thread pause when it has used more CPU time than its share.

    Every event passes through here: new connections, TLS handshakes, bytes that arrive one by one, requests.
    """

    def __init__(self) -> None:
        super().__init__()
        self._used = 0.0  # CPU time of the thread, which begins with the loop.
        self._checked_at = time.monotonic()
        self._debt = 0.0  # CPU time used above the share.

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Pauses if needed, then waits for events."""
        used, now = time.thread_time(), time.monotonic()
        debt = self._debt + (used - self._used) - CPU_SHARE * (now - self._checked_at)
        self._debt = min(max(0.0, debt), BURST_SECONDS + CPU_SHARE * MAX_PAUSE_SECONDS)
        self._used, self._checked_at = used, now
        if self._debt > BURST_SECONDS:
            time.sleep((self._debt - BURST_SECONDS) / CPU_SHARE)
        return super().select(timeout)
