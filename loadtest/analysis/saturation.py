"""Checks whether the generator was the limit: the figures of such a run say nothing about the server."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

LATE_SHARE = 0.01
"""With a larger share of late sends, percentiles from p99 up measure the generator."""

LATE_LEAST = 5
"""Fewer late sends are attributed to chance."""

LEAST_SECONDS = 1.0
"""Over a shorter time, the CPU shares measure the start-up."""

WAITED_SHARE = 0.1
"""Waiting for a CPU lengthens every latency. A closed loop is never late, so late sends do not show it."""

BUSY_SHARE = 0.9
"""A thread that uses a larger share of a core cannot send, or read answers, on time."""

ROUNDING_SECONDS = 0.0005
"""Rounding of the times that workers report."""

LAG_SECONDS = 0.025
LAG_SHARE = 0.1
"""Allowed share of half seconds in which the event loop was blocked for longer than `LAG_SECONDS`."""


@dataclass(frozen=True)
class Generator:
    """The health of the generator in a run.

    Attributes:
        processes: Worker processes that reported.
        late, late_share: Late sends, and their share.
        watched_seconds: Time that the workers' reports cover.
        busiest_share: Share of a core that the busiest thread used: one that sends, or that reads a connection.
        cpu_seconds: CPU time of all worker processes.
        waited_share: Share of the time that a thread was runnable without a CPU; the highest of all workers.
        lag_share: Share of half seconds in which an event loop was blocked for longer than `LAG_SECONDS`.
        longest_lag_seconds: The longest time that an event loop was blocked.
        memory_bytes: Highest resident memory of one process.
    """

    processes: int
    late: int
    late_share: float
    watched_seconds: float
    busiest_share: float
    waited_share: float
    cpu_seconds: float
    lag_share: float
    longest_lag_seconds: float
    memory_bytes: int

    @property
    def reasons(self) -> list[str]:
        """Reasons why the generator was saturated; empty if it was not."""
        reasons = []
        if self.late_share > LATE_SHARE and self.late >= LATE_LEAST:
            reasons.append(f"{self.late_share:.1%} of sends were late")
        if self.watched_seconds < LEAST_SECONDS:
            return reasons
        if self.busiest_share > BUSY_SHARE:
            reasons.append(f"its busiest process used {self.busiest_share:.0%} of a core")
        if self.waited_share > WAITED_SHARE:
            reasons.append(f"it waited for a CPU for {self.waited_share:.0%} of the time")
        if self.lag_share > LAG_SHARE:
            reasons.append(f"its event loop was blocked for up to {self.longest_lag_seconds * 1e3:.0f} ms")
        return reasons

    @property
    def saturated(self) -> bool:
        """Whether the generator was the limit."""
        return bool(self.reasons)


def judge(
    vitals: Iterable[Mapping[str, Any]], *, sent: int, late: int, between_seconds: tuple[float, float] = (0.0, math.inf)
) -> Generator:
    """Judges a part of the run by its late sends and the workers' vitals, without the warm-up."""
    first, last = between_seconds
    sums: dict[tuple[str, int], Counter[str]] = {}
    lags, memory = [], 0
    for report in vitals:
        memory = max(memory, int(report["memory_bytes"]))
        began = report["seconds"] - report["elapsed_seconds"]
        if began < -ROUNDING_SECONDS or not first <= (began + report["seconds"]) / 2 < last:
            continue
        of_worker = sums.setdefault((str(report.get("run", "")), int(report["process"])), Counter())
        of_worker.update(
            {name: report[f"{name}_seconds"] for name in ("elapsed", "loop_cpu", "loop_waited", "process_cpu")}
        )
        lags.append(float(report["loop_lag_seconds"]))
    workers = sums.values()
    return Generator(
        processes=len(workers),
        late=late,
        late_share=late / sent if sent else 0.0,
        watched_seconds=max((worker["elapsed"] for worker in workers), default=0.0),
        busiest_share=max((worker["loop_cpu"] / worker["elapsed"] for worker in workers), default=0.0),
        waited_share=max((worker["loop_waited"] / worker["elapsed"] for worker in workers), default=0.0),
        cpu_seconds=sum(worker["process_cpu"] for worker in workers),
        lag_share=sum(lag > LAG_SECONDS for lag in lags) / len(lags) if lags else 0.0,
        longest_lag_seconds=max(lags, default=0.0),
        memory_bytes=memory,
    )
