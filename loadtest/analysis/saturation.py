"""Was the generator itself the limit? Then the figures say nothing about the server."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

LATE_SHARE = 0.01
"""More late sends than this, and percentiles from p99 on are the generator's own."""

LATE_LEAST = 5
"""One late send among fifty is bad luck."""

LEAST_SECONDS = 1.0
"""Of less than this, shares of a CPU are those of starting up."""

WAITED_SHARE = 0.1
"""Waiting for a CPU lengthens every latency, and a closed loop, which is never late, has no other sign of it."""

BUSY_SHARE = 0.9
"""An event loop that takes more of a core than this has no time left to be punctual."""

ROUNDING_SECONDS = 0.0005
"""Of the times that workers report."""

LAG_SECONDS = 0.025
LAG_SHARE = 0.1
"""The share of half seconds in which the event loop may have been held up for longer than `LAG_SECONDS`."""


@dataclass(frozen=True)
class Generator:
    """How the generator did.

    Attributes:
        processes: Number of worker processes that reported.
        late, late_share: Sends that were late, and their share.
        watched_seconds: For how long the processes watched themselves.
        busiest_share: Share of a core that the busiest event loop took.
        cpu_seconds: CPU of all worker processes.
        waited_share: Share of the time that the event loop that waited most could have run but had no CPU.
        lag_share: Share of half seconds in which an event loop was held up for longer than `LAG_SECONDS`.
        longest_lag_seconds: The longest such time.
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
        """Why it was saturated; empty if it was not."""
        reasons = []
        if self.late_share > LATE_SHARE and self.late >= LATE_LEAST:
            reasons.append(f"{self.late_share:.1%} of sends were late")
        if self.watched_seconds < LEAST_SECONDS:
            return reasons
        if self.busiest_share > BUSY_SHARE:
            reasons.append(f"its busiest process took {self.busiest_share:.0%} of a core")
        if self.waited_share > WAITED_SHARE:
            reasons.append(f"something else had its CPU for {self.waited_share:.0%} of the time")
        if self.lag_share > LAG_SHARE:
            reasons.append(f"its event loop was held up, for {self.longest_lag_seconds * 1e3:.0f} ms at worst")
        return reasons

    @property
    def saturated(self) -> bool:
        """Whether the generator was the limit."""
        return bool(self.reasons)


def judge(
    vitals: Iterable[Mapping[str, Any]], *, sent: int, late: int, between_seconds: tuple[float, float] = (0.0, math.inf)
) -> Generator:
    """Judges a part of the run by the workers' vitals, those of the warm-up aside, and by late sends."""
    first, last = between_seconds
    sums: dict[tuple[str, int], Counter[str]] = {}
    lags, memory = [], 0
    for told in vitals:
        memory = max(memory, int(told["memory_bytes"]))
        began = told["seconds"] - told["elapsed_seconds"]
        if began < -ROUNDING_SECONDS or not first <= (began + told["seconds"]) / 2 < last:
            continue
        of_worker = sums.setdefault((str(told.get("run", "")), int(told["worker"])), Counter())
        of_worker.update(
            {name: told[f"{name}_seconds"] for name in ("elapsed", "loop_cpu", "loop_waited", "process_cpu")}
        )
        lags.append(float(told["loop_lag_seconds"]))
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
