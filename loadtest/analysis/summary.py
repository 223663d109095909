"""Sums up one run, or several together, in one pass over the records."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from loadtest.analysis.calls import CallSummary
from loadtest.analysis.machines import Machine, machines_of
from loadtest.analysis.quality import Quality
from loadtest.analysis.saturation import Generator, judge
from loadtest.analysis.span import Span, union
from loadtest.analysis.timeline import Timeline
from loadtest.codes import OUTCOMES
from loadtest.errors import UsageError
from loadtest.results.file import Records, Run, read_runs

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
        timelines: Those of each call by its name, without dropped requests; empty unless asked for.
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
    timelines: dict[str, Timeline]
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
    by_call: bool = False,
) -> Summary:
    """Reads results files into one summary.

    Runs that overlap in time count as one attack from several machines, and their rates add up. Others are repeats.

    Args:
        paths: Results files.
        within_seconds: Latency limit of goodput; `None` takes the calls' deadline.
        between_seconds: Counts only requests planned in this part of each run.
        by_call: Whether the summary has a timeline of each call, too.

    Raises:
        ResultsError: A file cannot be read.
    """
    reading = _Reading(within_seconds, between_seconds, by_call=by_call)
    for run, blocks in read_runs(paths):
        span = Span(run)
        reading.begin(span)
        for records in blocks:
            reading.add(records, span)
        reading.runs.append(run)
        reading.spans.append(span)
    return reading.summary()


class _Reading:
    """Accumulates the summary while records are read."""

    def __init__(self, within_seconds: float | None, between_seconds: tuple[float, float], *, by_call: bool) -> None:
        self.runs: list[Run] = []
        self.spans: list[Span] = []
        self._within = within_seconds
        self._between = between_seconds
        self._calls: dict[str, CallSummary] = {}
        self._timeline = Timeline()
        self._by_call = by_call
        self._timelines: dict[str, Timeline] = {}
        self._quality = Quality()
        self._late = self._warm_up = 0

    def begin(self, span: Span) -> None:
        """Takes the limits of a run, which may have no records."""
        self._within = span.plan["deadline_seconds"] if self._within is None else self._within
        self._quality.at = span.plan["quality_at"]

    def add(self, block: Records, span: Span) -> None:
        first, last = (bound * 1e9 for bound in self._between)
        planned = block["planned_ns"]
        self._warm_up += int(np.count_nonzero(planned < 0))
        records = block[(planned >= first) & (planned < last)]
        if not len(records):
            return
        span.add(records)
        assert self._within is not None, "begin() has set it"
        within_ns = self._within * 1e9
        self._late += int(
            np.count_nonzero(records["sent_ns"] - records["planned_ns"] > span.plan["late_seconds"] * 1e9)
        )
        calls = span.plan["calls"]
        for index, (name, planned_call) in enumerate(zip(call_names(calls), calls, strict=True)):
            call = self._calls.setdefault(name, CallSummary(name))
            checks = planned_call.get("checks", ())
            own = records[records["call"] == index]
            call.add(own, within_ns=within_ns, checks=checks)
            if self._by_call:
                self._timelines.setdefault(name, Timeline()).add(own)
        self._timeline.add(records, checked_calls=[index for index, call in enumerate(calls) if call.get("checks")])
        self._quality.add(records)

    def summary(self) -> Summary:
        intervals = [span.intervals(self._between) for span in self.spans]
        planned_seconds = union([planned for planned, _ in intervals])
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
            seconds=union([measured for _, measured in intervals]),
            within_seconds=math.nan if self._within is None else self._within,
            timeline=self._timeline,
            timelines=self._timelines,
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
