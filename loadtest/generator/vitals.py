"""The generator's reports on itself: without them, a slow generator looks like a slow server."""

import asyncio
import contextlib
import os
import time
from pathlib import Path

from loadtest.clock import now_ns
from loadtest.generator.outlet import Outlet
from loadtest.generator.sender import Sender
from loadtest.results.blocks import Kind

PROBE_SECONDS = 0.05
REPORT_SECONDS = 0.5


class Vitals:
    """Reports dropped requests, the event loop's lag and the CPU time of this process twice a second."""

    def __init__(self, sender: Sender, outlet: Outlet, *, start_ns: int) -> None:
        self._sender = sender
        self._outlet = outlet
        self._start_ns = start_ns
        self._before = _Clocks()
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
            if time.monotonic() - self._before.wall >= REPORT_SECONDS:
                self.report()

    def report(self) -> None:
        """Sends a block about the time since the last one. Call it on the event loop's thread."""
        now, before = _Clocks(), self._before
        cpu, waited = now.busiest_thread(before)
        self._outlet.json(
            Kind.VITALS,
            {
                "process": self._sender.worker,
                "seconds": round((now_ns() - self._start_ns) / 1e9, 3),
                "elapsed_seconds": round(now.wall - before.wall, 4),
                "in_flight": self._sender.in_flight,
                "dropped": self._sender.dropped,
                "dropped_at": sorted(self._sender.dropped_at.items()),
                "messages": [[code, said, count] for (code, said), count in self._sender.take_messages().items()],
                "loop_lag_seconds": round(self._longest_lag, 6),
                "loop_cpu_seconds": round(cpu, 4),
                "loop_waited_seconds": round(waited, 4),
                "process_cpu_seconds": round(now.process_cpu - before.process_cpu, 4),
                "memory_bytes": memory_bytes(),
            },
        )
        self._before, self._longest_lag = now, 0.0
        self._sender.dropped_at.clear()


class _Clocks:
    """The process's clocks at one time.

    Attributes:
        wall: Monotonic time in seconds.
        process_cpu: CPU time of the process in seconds.
        threads: CPU time and time without a CPU of each thread that was runnable, in seconds; empty if the system does
            not report them.
    """

    def __init__(self) -> None:
        self.wall = time.monotonic()
        self.process_cpu = time.process_time()
        self.threads: dict[str, tuple[float, float]] = {}
        for path in Path("/proc/self/task").glob("*/schedstat"):
            with contextlib.suppress(OSError, ValueError):  # The thread has ended.
                cpu, waited, _ = path.read_bytes().split()
                self.threads[path.parent.name] = int(cpu) / 1e9, int(waited) / 1e9

    def busiest_thread(self, before: "_Clocks") -> tuple[float, float]:
        """Returns the most CPU time that a thread has used since, and the longest that one has waited for a CPU."""
        if not self.threads:
            return self.process_cpu - before.process_cpu, 0.0
        spent = [
            (cpu - earlier[0], waited - earlier[1])
            for thread, (cpu, waited) in self.threads.items()
            for earlier in [before.threads.get(thread, (0.0, 0.0))]
        ]
        return max(cpu for cpu, _ in spent), max(waited for _, waited in spent)


def memory_bytes() -> int:
    """Returns the process's resident memory; 0 if the system does not report it."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123  twice a second: cheap
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0
