"""What a run, or several together, come to: one pass over the records; memory grows by 35 kB a second of a run."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from loadtest.analysis.calls import CallSummary
from loadtest.analysis.latency import Latencies
from loadtest.analysis.quality import Quality
from loadtest.analysis.saturation import Generator, judge
from loadtest.analysis.timeline import Timeline
from loadtest.codes import CODES
from loadtest.results.file import Records, Run, read_runs

NEARLY_ALL = 99.9
"""One straggler at its deadline must not make a run look longer, and so every rate lower."""


@dataclass
class Summary:
    """One run, or several together.

    Attributes:
        runs: The runs, without their records.
        total: All calls.
        calls: Each call of the mix.
        dropped: Requests that were planned and not sent.
        late: Requests that were sent late.
        warm_up: Requests of the warm-up, which nothing else here counts.
        offered_rate: Requests planned a second.
        seconds: Time from the start until nearly all (99.9 %) had been answered, or the planned duration if that is
            longer and was not cut short by a count.
        within_seconds: The latency that goodput is counted within.
        timeline: Second by second; of several runs, one upon the other.
        quality: How good the answers were.
        generator: How the generator did.
    """

    runs: list[Run]
    total: CallSummary
    calls: list[CallSummary]
    dropped: int
    late: int
    warm_up: int
    offered_rate: float
    seconds: float
    within_seconds: float
    timeline: Timeline
    quality: Quality
    generator: Generator

    @property
    def planned(self) -> int:
        """Requests planned: those sent and those dropped."""
        return self.total.sent + self.dropped

    @property
    def sent_rate(self) -> float:
        """Requests sent a second."""
        return self.offered_rate * self.total.sent / self.planned if self.planned else 0.0

    @property
    def achieved_rate(self) -> float:
        """Successes a second."""
        return self.total.ok.count / self.seconds if self.seconds else 0.0

    @property
    def goodput_rate(self) -> float:
        """Successes within the objective a second."""
        return self.total.goodput / self.seconds if self.seconds else 0.0

    @property
    def error_share(self) -> float:
        """Share of planned requests that did not succeed, whether they failed, were refused or dropped."""
        return 1 - self.total.ok.count / self.planned if self.planned else math.nan

    @property
    def messages(self) -> list[tuple[str, str, int]]:
        """What was said of errors: code, message and how often, the most frequent first; of the whole run."""
        said: Counter[tuple[str, str]] = Counter()
        for run in self.runs:
            for told in run.vitals:
                for code, message, count in told["messages"]:
                    said[CODES[code], message] += count
        return [(code, message, count) for (code, message), count in said.most_common()]

    @property
    def partial(self) -> list[str]:
        """Why runs are not whole."""
        return [run.partial for run in self.runs if run.partial]


def summarize(
    paths: Sequence[Path],
    *,
    within_seconds: float | None = None,
    between_seconds: tuple[float, float] = (0.0, math.inf),
) -> Summary:
    """Reads results files into one summary.

    Runs that overlap in time are taken as one attack from several machines, whose rates add up; others as repeats.

    Args:
        paths: Results files.
        within_seconds: The latency that goodput is counted within; `None` takes the calls' deadline.
        between_seconds: Only requests planned in this part of each run are counted.

    Raises:
        ResultsError: A file cannot be read.
    """
    reading = _Reading(within_seconds, between_seconds)
    for run, blocks in read_runs(paths):
        span = _Span(run)
        for records in blocks:
            reading.add(records, span)
        reading.runs.append(run)
        reading.spans.append(span)
    return reading.summary()


class _Span:
    """When a run's counted requests were planned, and when the last was answered, in seconds from its start."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.plan: dict[str, Any] = run.header["plan"]
        self.first_planned, self.last_planned = math.inf, 0.0
        self.sent = 0
        self._done = Latencies()

    def add(self, records: Records) -> None:
        self.sent += len(records)
        self.first_planned = min(self.first_planned, records["planned_ns"].min() / 1e9)
        self.last_planned = max(self.last_planned, records["planned_ns"].max() / 1e9)
        self._done.add(records["done_ns"])

    def intervals(self, between: tuple[float, float]) -> tuple[tuple[float, float], tuple[float, float]]:
        """Returns start and length, on the wall clock, of what was planned and of what was measured."""
        start = between[0]
        count, until = self.plan["count"], self.plan["seconds"]
        if until is None or self.run.partial or (count is not None and self.sent + self.dropped(between) >= count):
            until = math.inf
        until = min(until, between[1])
        # Without a known end, a request stands for the time to the next one: n of them for n gaps, not n - 1.
        gaps = (
            max(0.0, self.last_planned - self.first_planned) * self.sent / max(1, self.sent - 1) if self.sent else 0.0
        )
        planned = until - start if math.isfinite(until) else gaps
        nearly_all_done = self._done.percentile(NEARLY_ALL) - start if self.sent else 0.0
        measured = max(planned, nearly_all_done) if math.isinf(between[1]) else planned
        if self.plan["loop"] == "closed":  # Whatever it sends, it has planned.
            planned = measured
        began = self.run.header["started"] + self.plan["warm_up_seconds"] + start
        return (began, planned), (began, measured)

    def dropped(self, between: tuple[float, float]) -> int:
        """Returns how many of those planned in a part of the run were dropped."""
        first, last = between
        return sum(number for tenth, number in self.drops() if first <= tenth / 10 < last)

    def drops(self) -> Iterator[tuple[int, int]]:
        """Yields what was dropped by the tenth of a second that it was planned for."""
        for told in self.run.vitals:
            yield from ((int(tenth), int(number)) for tenth, number in told["dropped_at"])


class _Reading:
    """Sums up while records are read."""

    def __init__(self, within_seconds: float | None, between_seconds: tuple[float, float]) -> None:
        self.runs: list[Run] = []
        self.spans: list[_Span] = []
        self._within = within_seconds
        self._between = between_seconds
        self._calls: dict[str, CallSummary] = {}
        self._timeline = Timeline()
        self._quality = Quality()
        self._late = self._warm_up = 0

    def add(self, block: Records, span: _Span) -> None:
        self._within = span.plan["deadline_seconds"] if self._within is None else self._within
        self._quality.at = span.plan["quality_at"]
        first, last = (bound * 1e9 for bound in self._between)
        planned = block["planned_ns"]
        self._warm_up += int(np.count_nonzero(planned < 0))
        records = block[(planned >= first) & (planned < last)]
        if not len(records):
            return
        span.add(records)
        within_ns = self._within * 1e9
        self._late += int(
            np.count_nonzero(records["sent_ns"] - records["planned_ns"] > span.plan["late_seconds"] * 1e9)
        )
        for index, name in enumerate(_names(span.plan["calls"])):
            call = self._calls.setdefault(name, CallSummary(name))
            call.add(records[records["call"] == index], within_ns=within_ns)
        self._timeline.add(records)
        self._quality.add(records)

    def summary(self) -> Summary:
        intervals = [span.intervals(self._between) for span in self.spans]
        planned_seconds = _union([planned for planned, _ in intervals])
        for span in self.spans:
            self._timeline.add_drops(span.drops())
        dropped = sum(span.dropped(self._between) for span in self.spans)
        total = CallSummary("all")
        for call in self._calls.values():
            total.merge(call)
        vitals = [{**told, "run": number} for number, run in enumerate(self.runs) for told in run.vitals]
        return Summary(
            runs=self.runs,
            total=total,
            calls=list(self._calls.values()),
            dropped=dropped,
            late=self._late,
            warm_up=self._warm_up,
            offered_rate=(total.sent + dropped) / planned_seconds if planned_seconds else 0.0,
            seconds=_union([measured for _, measured in intervals]),
            within_seconds=math.nan if self._within is None else self._within,
            timeline=self._timeline,
            quality=self._quality,
            generator=judge(vitals, sent=total.sent, late=self._late, between_seconds=self._between),
        )


def _names(calls: list[dict[str, Any]]) -> list[str]:
    """Returns what the calls of a mix are called; those of one method are told apart by their place in it."""
    methods = [str(call["method"]) for call in calls]
    return [
        f"{method} ({place})" if methods.count(method) > 1 else method for place, method in enumerate(methods, start=1)
    ]


def _union(intervals: list[tuple[float, float]]) -> float:
    """Returns the length of time that intervals, as (start, length), cover."""
    covered, until = 0.0, -math.inf
    for start, length in sorted(intervals):
        end = start + length
        covered += max(0.0, end - max(start, until))
        until = max(until, end)
    return covered
