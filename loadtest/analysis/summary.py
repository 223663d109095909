"""What a run, or several together, come to: one pass over the records, in bounded memory."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from loadtest.analysis.latency import Latencies
from loadtest.analysis.saturation import Generator, judge
from loadtest.analysis.timeline import Timeline
from loadtest.requests.answer import STAGES
from loadtest.results.file import Records, Run, read_runs
from loadtest.results.record import CODES, OK, REFUSED


@dataclass
class Outcome:
    """The requests that ended with one gRPC code."""

    code: str
    latency: Latencies = field(default_factory=Latencies)
    service: Latencies = field(default_factory=Latencies)

    @property
    def count(self) -> int:
        """How many."""
        return self.latency.count


@dataclass
class CallSummary:
    """The requests of one call of a mix, or of all of them.

    Attributes:
        name: The method; `all` for all.
        outcomes: By gRPC code.
        stages: The server's own times by stage, of successes that told them.
        server: The sum of the stages.
        beyond_server: Service time less the server's own: network, gRPC and client.
        goodput: Successes within the objective.
        batch_texts: Sum of the batch sizes that successes told.
        request_bytes: Sum over all.
        response_bytes: Sum over all.
    """

    name: str
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    stages: dict[str, Latencies] = field(default_factory=lambda: {stage: Latencies() for stage in STAGES})
    server: Latencies = field(default_factory=Latencies)
    beyond_server: Latencies = field(default_factory=Latencies)
    goodput: int = 0
    batch_texts: int = 0
    request_bytes: int = 0
    response_bytes: int = 0

    @property
    def sent(self) -> int:
        """Requests that were sent and ended."""
        return sum(outcome.count for outcome in self.outcomes.values())

    @property
    def ok(self) -> Outcome:
        """The successes."""
        return self.outcomes.get(CODES[OK], Outcome(CODES[OK]))

    @property
    def refused(self) -> Outcome:
        """What the server shed."""
        return self.outcomes.get(CODES[REFUSED], Outcome(CODES[REFUSED]))

    @property
    def errors(self) -> list[Outcome]:
        """Everything else, most frequent first."""
        others = [each for each in self.outcomes.values() if each.code not in (CODES[OK], CODES[REFUSED])]
        return sorted(others, key=lambda outcome: -outcome.count)

    def add(self, records: Records, *, within_ns: float) -> None:
        """Counts records of the measured part."""
        self.request_bytes += int(records["request_bytes"].sum())
        self.response_bytes += int(records["response_bytes"].sum())
        for code in np.unique(records["code"]).tolist():
            of_code = records[records["code"] == code]
            outcome = self.outcomes.setdefault(CODES[code], Outcome(CODES[code]))
            outcome.latency.add(of_code["done_ns"] - of_code["planned_ns"])
            outcome.service.add(of_code["done_ns"] - of_code["sent_ns"])
        good = records[records["code"] == OK]
        self.goodput += int(np.count_nonzero(good["done_ns"] - good["planned_ns"] <= within_ns))
        told = good[~np.isnan(good[f"{STAGES[0]}_seconds"])]
        if len(told):
            server = np.zeros(len(told))
            for stage, latencies in self.stages.items():
                latencies.add_seconds(told[f"{stage}_seconds"])
                server += told[f"{stage}_seconds"]
            self.server.add_seconds(server)
            self.beyond_server.add_seconds((told["done_ns"] - told["sent_ns"]) / 1e9 - server)
            self.batch_texts += int(told["batch_texts"].sum())


@dataclass
class Quality:
    """How good the answers of a run were.

    Attributes:
        at: The k of recall@k and nDCG@k.
        labelled: Answers to labelled queries.
        recall: Their mean recall@k; NaN without any.
        ndcg: Their mean nDCG@k; NaN without any.
        compared: Answers that were compared with the answer at rest.
        different: Those that were not the same.
        different_queries: Numbers of the first queries with such answers.
    """

    at: int = 10
    labelled: int = 0
    recall_sum: float = 0.0
    ndcg_sum: float = 0.0
    compared: int = 0
    different: int = 0
    different_queries: list[int] = field(default_factory=list)

    @property
    def recall(self) -> float:
        """Mean recall@k."""
        return self.recall_sum / self.labelled if self.labelled else math.nan

    @property
    def ndcg(self) -> float:
        """Mean nDCG@k."""
        return self.ndcg_sum / self.labelled if self.labelled else math.nan

    def add(self, records: Records) -> None:
        """Counts records of the measured part."""
        labelled = records[~np.isnan(records["recall"])]
        self.labelled += len(labelled)
        self.recall_sum += float(labelled["recall"].sum(dtype=np.float64))
        self.ndcg_sum += float(labelled["ndcg"].sum(dtype=np.float64))
        self.compared += int(np.count_nonzero(records["same"] >= 0))
        different = records[records["same"] == 0]
        self.different += len(different)
        for query in different["query"].tolist():
            if len(self.different_queries) < 10 and query not in self.different_queries:
                self.different_queries.append(query)


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
        seconds: Time from the start to the last answer, or the planned duration if that is longer and was not
            cut short by a count.
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
        return self.total.sent / self.seconds if self.seconds else 0.0

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
    def partial(self) -> list[str]:
        """Why runs are not whole."""
        return [run.partial for run in self.runs if run.partial]


@dataclass
class _RunTimes:
    """When a run's measured part was, on the wall clock."""

    started: float
    seconds: float
    planned_seconds: float
    sent: int


def summarize(paths: Sequence[Path], *, within_seconds: float | None = None) -> Summary:
    """Reads results files into one summary.

    Runs that overlap in time are taken as one attack from several machines, whose rates add up; others as repeats.

    Args:
        paths: Results files.
        within_seconds: The latency that goodput is counted within; `None` takes the calls' deadline.

    Raises:
        ResultsError: A file cannot be read.
    """
    summary_runs: list[Run] = []
    total, calls, timeline, quality = CallSummary("all"), dict[str, CallSummary](), Timeline(), Quality()
    late = warm_up = 0
    times: list[_RunTimes] = []
    within = within_seconds
    for run, blocks in read_runs(paths):
        plan = run.header["plan"]
        names = [str(call["method"]) for call in plan["calls"]]
        within = plan["deadline_seconds"] if within is None else within
        quality.at = plan["quality_at"]
        seen = _RunTimes(run.header["started"] + plan["warm_up_seconds"], 0.0, 0.0, 0)
        first_planned, last_planned, last_done = math.inf, 0.0, 0.0
        for block in blocks:
            records = block[block["planned_ns"] >= 0]
            warm_up += len(block) - len(records)
            if not len(records):
                continue
            seen.sent += len(records)
            first_planned = min(first_planned, records["planned_ns"].min() / 1e9)
            last_planned = max(last_planned, records["planned_ns"].max() / 1e9)
            last_done = max(last_done, records["done_ns"].max() / 1e9)
            late += int(np.count_nonzero(records["sent_ns"] - records["planned_ns"] > plan["late_seconds"] * 1e9))
            total.add(records, within_ns=within * 1e9)
            for index, name in enumerate(names):
                of_call = records[records["call"] == index] if len(names) > 1 else records
                calls.setdefault(name, CallSummary(name)).add(of_call, within_ns=within * 1e9)
            timeline.add(records)
            quality.add(records)
        ended_by_count = plan["count"] is not None and seen.sent + _dropped(run) >= plan["count"]
        whole = 0.0 if plan["seconds"] is None or run.partial or ended_by_count else plan["seconds"]
        seen.seconds = max(whole, last_done)
        seen.planned_seconds = whole or (last_planned - min(first_planned, last_planned)) * (
            seen.sent / max(1, seen.sent - 1)
        )
        times.append(seen)
        summary_runs.append(run)
    dropped = sum(_dropped(run) for run in summary_runs)
    vitals = [{**told, "run": number} for number, run in enumerate(summary_runs) for told in run.vitals]
    planned_seconds = _union([(each.started, each.planned_seconds) for each in times])
    return Summary(
        runs=summary_runs,
        total=total,
        calls=list(calls.values()),
        dropped=dropped,
        late=late,
        warm_up=warm_up,
        offered_rate=(total.sent + dropped) / planned_seconds if planned_seconds else 0.0,
        seconds=_union([(each.started, each.seconds) for each in times]),
        within_seconds=within if within is not None else math.nan,
        timeline=timeline,
        quality=quality,
        generator=judge(vitals, sent=total.sent, late=late),
    )


def _dropped(run: Run) -> int:
    """The workers' counts only grow: the last one of each holds."""
    last: Mapping[int, Any] = {told["worker"]: told["dropped"] for told in run.vitals}
    return int(sum(last.values()))


def _union(intervals: list[tuple[float, float]]) -> float:
    """Returns the length of time that intervals, as (start, length), cover."""
    covered, until = 0.0, -math.inf
    for start, length in sorted(intervals):
        end = start + length
        covered += max(0.0, end - max(start, until))
        until = max(until, end)
    return covered
