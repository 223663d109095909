"""Bounds the CPU time of an event loop, whatever its clients make it do."""

import math
import selectors
import time

CPU_SHARE = 0.1
"""Share of a core that the loop may use for long."""

BURST_SECONDS = 0.3
"""CPU time that the loop may use at once, so that answers on a quiet port are not delayed."""

PAUSE_SECONDS = 1.0
"""Length of a pause: so short that a probe is answered in time, and so long that few are needed.

After each, code and data are in no CPU cache, so that many short ones would cost several times the CPU time.
"""


class CpuBudget:
    """A token bucket of CPU time."""

    def __init__(self) -> None:
        self._debt = 0.0  # CPU time used above the share.
        self._spent_at = time.monotonic()

    def spend(
        self, used_seconds: float, *, share: float, burst_seconds: float, max_pause_seconds: float = math.inf
    ) -> float:
        """Takes CPU time that was used; returns for how many seconds no more may be used.

        `burst_seconds` may be used at once, and a `share` of a core for long. A pause above the maximum is forgiven.
        """
        now = time.monotonic()
        self._debt = max(0.0, self._debt + used_seconds - share * (now - self._spent_at))
        self._debt = min(self._debt, burst_seconds + share * max_pause_seconds)
        self._spent_at = now
        return max(0.0, self._debt - burst_seconds) / share


class PacedSelector(selectors.DefaultSelector):
    """Lets the event loop of a thread pause when it has used more CPU time than its share.

    Every event passes through here: new connections, TLS handshakes, bytes that arrive one by one, requests.
    """

    def __init__(self) -> None:
        super().__init__()
        self._used = 0.0  # CPU time of the thread, which begins with the loop.
        self._budget = CpuBudget()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Pauses if needed, then waits for events."""
        used = time.thread_time()
        wait_seconds = self._budget.spend(
            used - self._used, share=CPU_SHARE, burst_seconds=BURST_SECONDS, max_pause_seconds=PAUSE_SECONDS
        )
        self._used = used
        if wait_seconds > 0:
            time.sleep(PAUSE_SECONDS)
        return super().select(timeout)
