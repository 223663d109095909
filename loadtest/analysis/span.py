"""The planned and the measured time of a run."""

import math
from collections.abc import Iterator
from typing import Any

from loadtest.analysis.latency import Latencies
from loadtest.analysis.machines import ProcessCounts
from loadtest.results.file import Records, Run

NEARLY_ALL = 99.9
"""Percentage of answers that end a run: one call at its deadline must not lengthen the run and lower every rate."""


class Span:
    """The times, from a run's start, when its counted requests were planned and the last one ended."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.plan: dict[str, Any] = run.header["plan"]
        self.first_planned, self.last_planned = math.inf, 0.0
        self.sent = 0
        self.by_process = ProcessCounts(late_seconds=self.plan["late_seconds"])
        self._done = Latencies()

    def add(self, records: Records) -> None:
        """Counts records of the measured part."""
        self.sent += len(records)
        self.by_process.add(records)
        self.first_planned = min(self.first_planned, records["planned_ns"].min() / 1e9)
        self.last_planned = max(self.last_planned, records["planned_ns"].max() / 1e9)
        self._done.add(records["done_ns"])

    def intervals(self, between: tuple[float, float]) -> tuple[tuple[float, float], tuple[float, float]]:
        """Returns (start, length) on the wall clock of the planned and of the measured time."""
        start = between[0]
        until = min(self.planned_end(between), between[1])
        # Without a known end, each request accounts for the gap after it: n requests for n gaps, not n - 1.
        gaps = (
            max(0.0, self.last_planned - self.first_planned) * self.sent / max(1, self.sent - 1) if self.sent else 0.0
        )
        planned = until - start if math.isfinite(until) else gaps
        nearly_all_done = self._done.percentile(NEARLY_ALL) - start if self.sent else 0.0
        measured = max(planned, nearly_all_done) if math.isinf(between[1]) else planned
        if self.plan["loop"] == "closed":  # A closed loop plans exactly what it sends.
            planned = measured
        began = self.run.header["started"] + self.plan["warm_up_seconds"] + start
        return (began, planned), (began, measured)

    def planned_end(self, between: tuple[float, float]) -> float:
        """Returns the end of the planned time in seconds; infinite if a count or an interruption ended the run."""
        count, until = self.plan["count"], self.plan["seconds"]
        if until is None or self.run.partial or (count is not None and self.sent + self.dropped(between) >= count):
            return math.inf
        return float(until)

    def charted_end(self, between: tuple[float, float]) -> float:
        """Returns the end of the planned time in seconds; of a run without one, a gap after its last request."""
        end = self.planned_end(between)
        if math.isinf(end):
            gap = (self.last_planned - self.first_planned) / (self.sent - 1) if self.sent > 1 else 0.0
            end = max([self.last_planned + gap, *((tenth + 1) / 10 for tenth, _ in self.drops())])
        return max(end, self.last_planned)

    def dropped(self, between: tuple[float, float]) -> int:
        """Returns the number of dropped requests that were planned in a part of the run."""
        first, last = between
        return sum(number for tenth, number in self.drops() if first <= tenth / 10 < last)

    def drops(self) -> Iterator[tuple[int, int]]:
        """Yields (tenth of a second, number) of dropped requests, by their planned time."""
        for report in self.run.vitals:
            yield from ((int(tenth), int(number)) for tenth, number in report["dropped_at"])


def union(intervals: list[tuple[float, float]]) -> float:
    """Returns the total time covered by intervals of (start, length)."""
    covered, until = 0.0, -math.inf
    for start, length in sorted(intervals):
        end = start + length
        covered += max(0.0, end - max(start, until))
        until = max(until, end)
    return covered
