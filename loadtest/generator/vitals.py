"""The generator's reports on itself: without them, a slow generator looks like a slow server."""

import asyncio
import os
import time

from loadtest.clock import now_ns
from loadtest.generator.outlet import Outlet
from loadtest.generator.sender import Sender
from loadtest.results.blocks import Kind

PROBE_SECONDS = 0.05
REPORT_SECONDS = 0.5


class Vitals:
    """Reports dropped requests, the event loop's lag and this process's CPU time twice a second."""

    def __init__(self, sender: Sender, outlet: Outlet, *, start_ns: int) -> None:
        self._sender = sender
        self._outlet = outlet
        self._start_ns = start_ns
        self._before = _clocks()
        self._longest_lag = 0.0

    async def watch(self) -> None:
        """Measures and reports until it is cancelled, and also at the start of the measured part."""
        until_start = (self._start_ns - now_ns()) / 1e9
        if until_start > 0:
            asyncio.get_running_loop().call_later(until_start, self.report)
        while True:
            asked = time.monotonic()
            await asyncio.sleep(PROBE_SECONDS)
            self._longest_lag = max(self._longest_lag, time.monotonic() - asked - PROBE_SECONDS)
            if time.monotonic() - self._before[0] >= REPORT_SECONDS:
                self.report()

    def report(self) -> None:
        """Sends a block about the time since the last one. Call it on the event loop's thread."""
        clocks = _clocks()
        elapsed, loop_cpu, waited, process_cpu = (now - then for now, then in zip(clocks, self._before, strict=True))
        self._outlet.json(
            Kind.VITALS,
            {
                "worker": self._sender.worker,
                "seconds": round((now_ns() - self._start_ns) / 1e9, 3),
                "elapsed_seconds": round(elapsed, 4),
                "in_flight": self._sender.in_flight,
                "dropped": self._sender.dropped,
                "dropped_at": sorted(self._sender.dropped_at.items()),
                "messages": [[code, said, count] for (code, said), count in self._sender.messages.items()],
                "loop_lag_seconds": round(self._longest_lag, 6),
                "loop_cpu_seconds": round(loop_cpu, 4),
                "loop_waited_seconds": round(waited, 4),
                "process_cpu_seconds": round(process_cpu, 4),
                "memory_bytes": memory_bytes(),
            },
        )
        self._before, self._longest_lag = clocks, 0.0
        self._sender.dropped_at.clear()
        self._sender.messages.clear()


def _clocks() -> tuple[float, float, float, float]:
    """Returns wall clock, CPU time of this thread, its wait for a CPU, and CPU time of the process, in seconds."""
    return time.monotonic(), time.thread_time(), _waited_seconds(), time.process_time()


def _waited_seconds() -> float:
    """Returns the time that this thread was runnable without a CPU; 0 if the system does not report it."""
    try:
        with open("/proc/thread-self/schedstat", encoding="ascii") as file:  # noqa: PTH123  twice a second: cheap
            return int(file.read().split()[1]) / 1e9
    except (OSError, IndexError):
        return 0.0


def memory_bytes() -> int:
    """Returns the process's resident memory; 0 if the system does not report it."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123  twice a second: cheap
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0
