"""The plan of an attack: what is sent, when and to whom. The worker processes get it as it is."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from loadtest.errors import UsageError
from loadtest.requests.method import Method
from loadtest.requests.queries import Query
from loadtest.requests.sampling import Order
from loadtest.schedule import Schedule
from loadtest.target import Target

MAX_PROCESSES = 64
MAX_CALLS = 256  # A record numbers them in a byte.


@dataclass(frozen=True, kw_only=True)
class Call:
    """One kind of call of a mix.

    Attributes:
        method: What is called.
        weight: How often, in proportion to the weights of the others.
        template: Its payload (see `requests.payload`); `None` for the method's default.
        queries_per_call: Number of queries in each call, for methods that take several.
    """

    method: Method
    weight: float = 1.0
    template: Any = None
    queries_per_call: int = 1

    def __post_init__(self) -> None:
        if not (self.weight > 0 and math.isfinite(self.weight)):
            raise UsageError(f"the weight of {self.method.name} must be above 0, not {self.weight:g}")
        if self.queries_per_call < 1:
            raise UsageError(f"a call has at least 1 query, not {self.queries_per_call}")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything that an attack needs.

    Attributes:
        target: The server.
        calls: The mix.
        queries: What requests are made of; at least one.
        order: How queries are drawn from them.
        zipf_exponent: Exponent of the order `zipf`.
        seed: Seed of every draw.
        schedule: Planned times of an open loop; `None` for a closed loop.
        in_flight: Calls that a closed loop keeps in flight, over all processes; without a schedule.
        seconds: Length of the measured part; infinite if only `count` ends it.
        count: Most requests of the measured part; `None` if only `seconds` ends it.
        warm_up_seconds: Time before the measured part in which calls are made too.
        deadline_seconds: Deadline of each call.
        max_in_flight: Calls of an open loop that may be unanswered at a time, over all processes; a send
            beyond is dropped.
        late_seconds: A send later than this after its planned time counts as late.
        processes: Number of worker processes.
        labels: Relevance of documents by query id and document id, for recall and nDCG.
        quality_at: The k of recall@k and nDCG@k.
        at_rest: For each call of the mix and each key of its queries the digest of the answer at rest; empty
            when answers are not compared.
        metrics_url: The server's metrics, pulled once a second; empty for none.
    """

    target: Target
    calls: tuple[Call, ...]
    queries: tuple[Query, ...]
    order: Order = "sequential"
    zipf_exponent: float = 1.0
    seed: int = 0
    schedule: Schedule | None = None
    in_flight: int = 0
    seconds: float = math.inf
    count: int | None = None
    warm_up_seconds: float = 0.0
    deadline_seconds: float = 10.0
    max_in_flight: int = 10_000
    late_seconds: float = 0.002
    processes: int = 1
    labels: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    quality_at: int = 10
    at_rest: Mapping[tuple[int, tuple[int, ...]], bytes] = field(default_factory=dict)
    metrics_url: str = ""

    def __post_init__(self) -> None:
        if not self.calls:
            raise UsageError("there is no call to make")
        if len(self.calls) > MAX_CALLS:
            raise UsageError(f"a mix has at most {MAX_CALLS} calls, not {len(self.calls)}")
        if (self.schedule is None) == (self.in_flight < 1):
            raise UsageError("an attack has a rate (open loop) or a number of calls in flight (closed loop)")
        self._check_draws()
        self._check_times()
        self._check_processes()

    def _check_draws(self) -> None:
        if not self.queries:
            raise UsageError("there are no queries")
        if not (self.zipf_exponent >= 0 and math.isfinite(self.zipf_exponent)):
            raise UsageError(f"Zipf's exponent must be at least 0, not {self.zipf_exponent:g}")
        if self.seed < 0:
            raise UsageError(f"a seed must be at least 0, not {self.seed}")
        if self.quality_at < 1:
            raise UsageError(f"the k of recall@k must be at least 1, not {self.quality_at}")

    def _check_times(self) -> None:
        if math.isinf(self.seconds) and self.count is None:
            raise UsageError("an attack needs an end: a duration or a count")
        if not self.seconds > 0:
            raise UsageError(f"a duration must be above 0, not {self.seconds:g}")
        if self.count is not None and self.count < 1:
            raise UsageError(f"a count must be at least 1, not {self.count}")
        if not 0 <= self.warm_up_seconds < math.inf:
            raise UsageError(f"a warm-up cannot last {self.warm_up_seconds:g} seconds")
        if not (self.deadline_seconds > 0 and math.isfinite(self.deadline_seconds)):
            raise UsageError(f"a deadline must be above 0, not {self.deadline_seconds:g}")
        if not 0 <= self.late_seconds < math.inf:
            raise UsageError(f"a send cannot be late after {self.late_seconds:g} seconds")

    def _check_processes(self) -> None:
        if self.max_in_flight < self.processes:
            raise UsageError("at least one call must be allowed in flight in each process")
        if not 1 <= self.processes <= MAX_PROCESSES:
            raise UsageError(f"the number of processes must be from 1 to {MAX_PROCESSES}, not {self.processes}")
        if self.schedule is None and self.in_flight < self.processes:
            raise UsageError("a closed loop needs at least one call in flight in each process")

    def described(self) -> dict[str, Any]:
        """Returns what the results file keeps of the plan; no secrets, no texts of queries."""
        loop: dict[str, Any] = {"loop": "closed", "in_flight": self.in_flight}
        if self.schedule is not None:
            schedule = self.schedule
            loop = {
                "loop": "open",
                "schedule": schedule.kind,
                "rates": [[_finite(each.seconds), each.rate, each.rate_to] for each in schedule.segments],
                "max_in_flight": self.max_in_flight,
            }
        return {
            "target": self.target.described(),
            "calls": [
                {
                    "method": f"{call.method.service}/{call.method.name}",
                    "weight": call.weight,
                    "payload": call.template,
                    "queries_per_call": call.queries_per_call,
                }
                for call in self.calls
            ],
            **loop,
            "seconds": _finite(self.seconds),
            "count": self.count,
            "warm_up_seconds": self.warm_up_seconds,
            "deadline_seconds": self.deadline_seconds,
            "late_seconds": self.late_seconds,
            "processes": self.processes,
            "queries": {"count": len(self.queries), "order": self.order, "zipf_exponent": self.zipf_exponent},
            "labelled_queries": len(self.labels),
            "quality_at": self.quality_at,
            "compared_with_answers_at_rest": bool(self.at_rest),
            "seed": self.seed,
            "metrics_url": self.metrics_url,
        }


def _finite(seconds: float) -> float | None:
    """An endless duration as what JSON has for it."""
    return None if math.isinf(seconds) else seconds
