"""The requests of one call of a mix: outcomes, latency and service time, and the server's stage times."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from loadtest.analysis.checks import Checks
from loadtest.analysis.latency import Latencies
from loadtest.analysis.streams import StreamSummary
from loadtest.codes import OK, OUTCOMES, REFUSED, UNANSWERED
from loadtest.results.file import Records
from loadtest.stages import STAGES


@dataclass
class Outcome:
    """The requests that ended with one gRPC code, or were never answered."""

    code: str
    latency: Latencies = field(default_factory=Latencies)
    service: Latencies = field(default_factory=Latencies)

    @property
    def count(self) -> int:
        """Number of requests."""
        return self.latency.count


@dataclass
class CallSummary:
    """The requests of one call of a mix, or of all of them.

    Attributes:
        name: The method; `all` for all.
        outcomes: By gRPC code, or `UNANSWERED`.
        stages: The server's time in each stage, of the successes that reported it.
        server: The sum of the stages.
        beyond_server: Service time minus the server's time: network, gRPC and client.
        goodput: Successes within the latency limit of goodput.
        unencoded: Successes that report their stages, and that the server did not encode: the vector of their query was
            cached, or their mode is lexical.
        batch_texts: Sum of the batch sizes that successes reported.
        parts, failed_parts: Parts of OK answers that can carry an error, and those that do.
        failed_answers: Answers with such a part; these calls count by the code of their first error.
        request_bytes, response_bytes: Sums over all requests.
        checks: The checks on its answers.
        streams: Messages of the streams.
    """

    name: str
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    stages: dict[str, Latencies] = field(default_factory=lambda: {stage: Latencies() for stage in STAGES})
    server: Latencies = field(default_factory=Latencies)
    beyond_server: Latencies = field(default_factory=Latencies)
    goodput: int = 0
    unencoded: int = 0
    batch_texts: int = 0
    parts: int = 0
    failed_parts: int = 0
    failed_answers: int = 0
    request_bytes: int = 0
    response_bytes: int = 0
    checks: Checks = field(default_factory=Checks)
    streams: StreamSummary = field(default_factory=StreamSummary)

    @property
    def sent(self) -> int:
        """Requests that were sent."""
        return sum(outcome.count for outcome in self.outcomes.values())

    @property
    def ok(self) -> Outcome:
        """The successes."""
        return self.outcomes.get(OUTCOMES[OK], Outcome(OUTCOMES[OK]))

    @property
    def refused(self) -> Outcome:
        """The requests that the server refused."""
        return self.outcomes.get(OUTCOMES[REFUSED], Outcome(OUTCOMES[REFUSED]))

    @property
    def unanswered(self) -> Outcome:
        """The requests that were not answered when the run ended; their latencies are lower bounds."""
        return self.outcomes.get(OUTCOMES[UNANSWERED], Outcome(OUTCOMES[UNANSWERED]))

    @property
    def errors(self) -> list[Outcome]:
        """All other outcomes, most frequent first."""
        others = [each for each in self.outcomes.values() if each.code not in (OUTCOMES[OK], OUTCOMES[REFUSED])]
        return sorted(others, key=lambda outcome: -outcome.count)

    @property
    def failed(self) -> int:
        """Number of failed requests, without refused ones."""
        return sum(outcome.count for outcome in self.errors)

    @property
    def cached_share(self) -> float:
        """Share of `unencoded` in the successes that report their stages; NaN without one."""
        return self.unencoded / self.server.count if self.server.count else math.nan

    def merge(self, other: CallSummary) -> None:
        """Adds the counts of another summary."""
        for code, outcome in other.outcomes.items():
            mine = self.outcomes.setdefault(code, Outcome(code))
            mine.latency.merge(outcome.latency)
            mine.service.merge(outcome.service)
        for stage, latencies in self.stages.items():
            latencies.merge(other.stages[stage])
        self.server.merge(other.server)
        self.beyond_server.merge(other.beyond_server)
        self.goodput += other.goodput
        self.unencoded += other.unencoded
        self.batch_texts += other.batch_texts
        self.parts += other.parts
        self.failed_parts += other.failed_parts
        self.failed_answers += other.failed_answers
        self.request_bytes += other.request_bytes
        self.response_bytes += other.response_bytes
        self.checks.merge(other.checks)
        self.streams.merge(other.streams)

    def add(self, records: Records, *, within_ns: float, checks: Sequence[str] = ()) -> None:
        """Counts records of the measured part, whose answers were checked with `checks`."""
        self.request_bytes += int(records["request_bytes"].sum())
        self.response_bytes += int(records["response_bytes"].sum())
        self.parts += int(records["parts"].sum(dtype=np.int64))
        self.failed_parts += int(records["failed_parts"].sum(dtype=np.int64))
        self.failed_answers += int(np.count_nonzero(records["failed_parts"]))
        for code in np.unique(records["code"]).tolist():
            of_code = records[records["code"] == code]
            outcome = self.outcomes.setdefault(OUTCOMES[code], Outcome(OUTCOMES[code]))
            outcome.latency.add(of_code["done_ns"] - of_code["planned_ns"])
            outcome.service.add(of_code["done_ns"] - of_code["sent_ns"])
        good = records[records["code"] == OK]
        self.checks.add(good, checks)
        self.streams.add(good)
        self.goodput += int(np.count_nonzero(good["done_ns"] - good["planned_ns"] <= within_ns))
        staged = good[~np.isnan(good[f"{STAGES[0]}_seconds"])]
        if len(staged):
            server = np.zeros(len(staged))
            for stage, latencies in self.stages.items():
                latencies.add_seconds(staged[f"{stage}_seconds"])
                server += staged[f"{stage}_seconds"]
            self.server.add_seconds(server)
            self.beyond_server.add_seconds((staged["done_ns"] - staged["sent_ns"]) / 1e9 - server)
            self.unencoded += int(np.count_nonzero(staged["encode_seconds"] == 0))
            self.batch_texts += int(staged["batch_texts"].sum())
