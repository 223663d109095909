"""Sums up one run, or several together, in one pass over the records."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from loadtest.analysis.calls import CallSummary
from loadtest.analysis.latency import Latencies
from loadtest.analysis.machines import Machine, ProcessCounts, machines_of
from loadtest.analysis.quality import Quality
from loadtest.analysis.saturation import Generator, judge
from loadtest.analysis.timeline import Timeline
from loadtest.codes import OUTCOMES
from loadtest.errors import UsageError
from loadtest.results.file import Records, Run, read_runs

NEARLY_ALL = 99.9
"""Percentage of answers that end a run: one call at its deadline must not lengthen the run and lower every rate."""

HALF = 0.5


@dataclass
class Summary:
    """One run, or several together.

    Attributes:
        runs: The runs, without their records.
        total: All calls.
        calls: Each call of the mix.
        lost: Calls in flight at the last report of a generator process that died; they have no record.
        dropped: Requests that were planned but not sent.
        late: Requests that were sent late.
        warm_up: Requests of the warm-up; no other figure includes them.
        offered_rate: Requests planned a second.
        seconds: Time from the start until nearly all (99.9 %) requests had ended; the planned duration if that is
            longer and no count ended the run.
        within_seconds: Latency limit of goodput.
        timeline: Counts second by second; of several runs, the sum.
        quality: The quality of the answers.
        generator: The health of the generator.
        machines: Each generator machine of runs with `--workers`.
    """

    runs: list[Run]
    total: CallSummary
    calls: list[CallSummary]
    lost: int
    dropped: int
    late: int
    warm_up: int
    offered_rate: float
    seconds: float
    within_seconds: float
    timeline: Timeline
    quality: Quality
    generator: Generator
    machines: list[Machine]

    @property
    def planned(self) -> int:
        """Requests planned: those sent and those dropped."""
        return self.total.sent + self.lost + self.dropped

    @property
    def unanswered(self) -> int:
        """Calls that were sent, and not answered when the run ended, as far as is known."""
        return self.total.unanswered.count + self.lost

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
        """Successes a second within `within_seconds`."""
        return self.total.goodput / self.seconds if self.seconds else 0.0

    def bytes_rate(self, count: int) -> float:
        """Returns bytes a second."""
        return count / self.seconds if self.seconds else 0.0

    @property
    def error_share(self) -> float:
        """Share of planned requests that failed, were refused, unanswered or dropped."""
        return 1 - self.total.ok.count / self.planned if self.planned else math.nan

    @property
    def mostly_failed(self) -> bool:
        """Whether more than half of the planned requests did not succeed."""
        return self.planned > 0 and self.error_share > HALF

    @property
    def server_failed(self) -> bool:
        """Whether more than half of the sent requests did not succeed, which no slow generator explains."""
        return self.total.ok.count < HALF * self.total.sent

    @property
    def messages(self) -> list[tuple[str, str, int]]:
        """Code, message and count of errors in the whole run, most frequent first."""
        said: Counter[tuple[str, str]] = Counter()
        for run in self.runs:
            for report in run.vitals:
                for code, message, count in report["messages"]:
                    said[OUTCOMES[code], message] += count
        return [(code, message, count) for (code, message), count in said.most_common()]

    @property
    def partial(self) -> list[str]:
        """Reasons why runs are partial."""
        return [run.partial for run in self.runs if run.partial]

    def of_call(self, name: str) -> "Summary":
        """Returns the part of one call of the mix.

        No record says to which call a dropped or lost request belongs: the call gets its share of those sent.

        Raises:
            UsageError: No call, or more than one, has this name.
        """
        calls = [self.calls[each] for each in calls_named(name, [call.name for call in self.calls])]
        total = calls[0] if calls else CallSummary(name)
        share = total.sent / self.total.sent if self.total.sent else 1.0
        dropped, lost = round(self.dropped * share), round(self.lost * share)
        return replace(self, total=total, calls=calls, dropped=dropped, lost=lost)


def calls_named(wanted: str, names: Sequence[str]) -> list[int]:
    """Returns the place of the call with a name, such as `Search`, `SearchService/Search` or `Search (2)`.

    Without calls, as in an empty part of a run, it returns none.

    Raises:
        UsageError: No call, or more than one, has this name.
    """
    short = wanted.replace(" ", "")
    full = [name.replace(" ", "") for name in names]
    found = [place for place, name in enumerate(full) if name == short]
    found = found or [place for place, name in enumerate(full) if name.endswith((f"/{short}", f".{short}"))]
    if names and len(found) != 1:
        trouble = "more than one call is" if found else "no call is"
        raise UsageError(f"{trouble} named {wanted}; the calls are {', '.join(names)}")
    return found


def summarize(
    paths: Sequence[Path],
    *,
    within_seconds: float | None = None,
    between_seconds: tuple[float, float] = (0.0, math.inf),
) -> Summary:
    """Reads results files into one summary.

    Runs that overlap in time count as one attack from several machines, and their rates add up. Others are repeats.

    Args:
        paths: Results files.
        within_seconds: Latency limit of goodput; `None` takes the calls' deadline.
        between_seconds: Counts only requests planned in this part of each run.

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
    """The times, from a run's start, when its counted requests were planned and the last one ended."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.plan: dict[str, Any] = run.header["plan"]
        self.first_planned, self.last_planned = math.inf, 0.0
        self.sent = 0
        self.by_process = ProcessCounts(late_seconds=self.plan["late_seconds"])
        self._done = Latencies()

    def add(self, records: Records) -> None:
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


class _Reading:
    """Accumulates the summary while records are read."""

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
        calls = span.plan["calls"]
        for index, (name, planned_call) in enumerate(zip(call_names(calls), calls, strict=True)):
            call = self._calls.setdefault(name, CallSummary(name))
            checks = planned_call.get("checks", ())
            call.add(records[records["call"] == index], within_ns=within_ns, checks=checks)
        self._timeline.add(records, checked_calls=[index for index, call in enumerate(calls) if call.get("checks")])
        self._quality.add(records)

    def summary(self) -> Summary:
        intervals = [span.intervals(self._between) for span in self.spans]
        planned_seconds = _union([planned for planned, _ in intervals])
        for span in self.spans:
            self._timeline.add_drops(span.drops())
            self._timeline.planned_end = max(self._timeline.planned_end, span.charted_end(self._between))
        dropped = sum(span.dropped(self._between) for span in self.spans)
        lost = sum(int(run.end.get("lost", 0)) for run in self.runs)
        total = CallSummary("all")
        for call in self._calls.values():
            total.merge(call)
        vitals = [{**report, "run": number} for number, run in enumerate(self.runs) for report in run.vitals]
        return Summary(
            runs=self.runs,
            total=total,
            calls=list(self._calls.values()),
            lost=lost,
            dropped=dropped,
            late=self._late,
            warm_up=self._warm_up,
            offered_rate=(total.sent + lost + dropped) / planned_seconds if planned_seconds else 0.0,
            seconds=_union([measured for _, measured in intervals]),
            within_seconds=math.nan if self._within is None else self._within,
            timeline=self._timeline,
            quality=self._quality,
            generator=judge(vitals, sent=total.sent, late=self._late, between_seconds=self._between),
            machines=[
                machine
                for span in self.spans
                for machine in machines_of(span.run, span.by_process, between_seconds=self._between)
            ],
        )


def call_names(calls: list[dict[str, Any]]) -> list[str]:
    """Returns the names of a mix's calls: their own, or the method's; calls of the same method are numbered."""
    methods = [str(call.get("name") or call["method"]) for call in calls]
    return [
        f"{method} ({place})" if methods.count(method) > 1 else method for place, method in enumerate(methods, start=1)
    ]


def _union(intervals: list[tuple[float, float]]) -> float:
    """Returns the total time covered by intervals of (start, length)."""
    covered, until = 0.0, -math.inf
    for start, length in sorted(intervals):
        end = start + length
        covered += max(0.0, end - max(start, until))
        until = max(until, end)
    return covered
