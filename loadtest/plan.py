"""The plan of an attack: requests, schedule and target. Each worker process receives all of it."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from loadtest.errors import UsageError
from loadtest.requests.method import Method
from loadtest.requests.queries import Query
from loadtest.requests.sampling import Order
from loadtest.results.record import MOST_CALLS, MOST_PROCESSES
from loadtest.schedule import Schedule
from loadtest.target import Target

CALL_NAME = re.compile(r"[\w-]+")
MOST_IN_FLIGHT = 1_000_000
MOST_QUERIES = 100_000


@dataclass(frozen=True, kw_only=True)
class Call:
    """One kind of call of a mix.

    Attributes:
        method: The method to call.
        name: Its name in reports and objectives; empty for the method's.
        weight: Relative frequency in the mix.
        template: Its payload (see `requests.payload`); `None` for the method's default.
        queries_per_call: Number of queries in each call, for methods that take several.
        checks: Conditions of a right answer (see `requests.checks`).
        headers: Metadata of its requests, as names and templates, beside the plan's.
    """

    method: Method
    name: str = ""
    weight: float = 1.0
    template: Any = None
    queries_per_call: int = 1
    checks: tuple[str, ...] = ()
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        if not (self.weight > 0 and math.isfinite(self.weight)):
            raise UsageError(f"the weight of {self.method.name} (--mix) must be above 0, not {self.weight:g}")
        if not 1 <= self.queries_per_call <= MOST_QUERIES:
            raise UsageError(
                f"a call has from 1 to {MOST_QUERIES:,} queries (--queries-per-call), not {self.queries_per_call}"
            )
        if self.name and not CALL_NAME.fullmatch(self.name):
            raise UsageError(f"{self.name!r} is not a name of a call (--mix): letters, digits, - and _ only")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything that an attack needs.

    Attributes:
        target: The server.
        calls: The mix.
        headers: Metadata of each request, as names and templates (see `requests.headers`), beside the target's.
        queries: The queries of the requests; at least one.
        order: Order in which queries are drawn.
        zipf_exponent: Exponent of the order `zipf`.
        unique_from: Number that ends the first query, to make all queries different; `None` leaves them as they are.
        seed: Seed of all random draws.
        schedule: Planned times of an open loop; `None` for a closed loop.
        in_flight: Calls that a closed loop keeps in flight, over all processes.
        seconds: Length of the measured part; infinite if only `count` ends it.
        count: Maximum requests of the measured part; `None` if only `seconds` ends it.
        warm_up_seconds: Time of uncounted calls before the measured part.
        deadline_seconds: Deadline of each call.
        interval_seconds: Time between two messages that a call with a stream of requests sends.
        stream_seconds: Time after which the client ends a stream, which is no error; infinite to wait for the server.
        max_in_flight: Limit of unanswered calls in an open loop, over all processes; further requests are dropped.
        late_seconds: A send counts as late when it is later than this after its planned time.
        processes: Number of worker processes.
        labels: Relevance of documents by query id and document id, for recall and nDCG.
        quality_at: The k of recall@k and nDCG@k.
        reference_answers: Digests of the answers without other load, by call of the mix and key of its queries; empty
            without comparison.
        error_fields: Paths of the fields of answers that carry errors (see `requests.answer_errors`); `None` for those
            of known types.
        metrics_url: URL of the server's metrics, scraped once a second; empty for none.
        metrics_token: Bearer token of the metrics; empty for none.
    """

    target: Target
    calls: tuple[Call, ...]
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    queries: tuple[Query, ...]
    order: Order = "sequential"
    zipf_exponent: float = 1.0
    unique_from: int | None = None
    seed: int = 0
    schedule: Schedule | None = None
    in_flight: int = 0
    seconds: float = math.inf
    count: int | None = None
    warm_up_seconds: float = 0.0
    deadline_seconds: float = 10.0
    interval_seconds: float = 0.0
    stream_seconds: float = math.inf
    max_in_flight: int = 10_000
    late_seconds: float = 0.002
    processes: int = 1
    labels: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    quality_at: int = 10
    reference_answers: Mapping[tuple[int, tuple[int, ...]], bytes] = field(default_factory=dict)
    error_fields: tuple[str, ...] | None = None
    metrics_url: str = ""
    metrics_token: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if not self.calls:
            raise UsageError("an attack needs at least one call")
        names = [call.name for call in self.calls if call.name]
        if len(set(names)) < len(names):
            raise UsageError("two calls of a mix have the same name: give each another one")
        if len(self.calls) > MOST_CALLS:
            raise UsageError(f"a mix has at most {MOST_CALLS} calls, not {len(self.calls)}")
        if (self.schedule is None) == (self.in_flight < 1):
            raise UsageError("an attack needs either a rate (--rate, open loop) or calls (--in-flight, closed loop)")
        self._check_draws()
        self._check_times()
        self._check_streams()
        self._check_processes()

    def _check_draws(self) -> None:
        if not self.queries:
            raise UsageError("there are no queries: give --queries")
        if not (self.zipf_exponent >= 0 and math.isfinite(self.zipf_exponent)):
            raise UsageError(f"Zipf's exponent (--zipf-exponent) must be at least 0, not {self.zipf_exponent:g}")
        if self.seed < 0:
            raise UsageError(f"a seed (--seed) must be at least 0, not {self.seed}")
        if self.quality_at < 1:
            raise UsageError(f"the k of recall@k (--quality-at) must be at least 1, not {self.quality_at}")

    def _check_times(self) -> None:
        if math.isinf(self.seconds) and self.count is None:
            raise UsageError("an attack needs an end: a duration (--duration) or a count (--count)")
        if not self.seconds > 0:
            raise UsageError(f"a duration (--duration) must be above 0, not {self.seconds:g}")
        if self.count is not None and self.count < 1:
            raise UsageError(f"a count (--count) must be at least 1, not {self.count}")
        if not 0 <= self.warm_up_seconds < math.inf:
            raise UsageError(f"the warm-up (--warm-up) must be finite and at least 0 s, not {self.warm_up_seconds:g} s")
        if not (self.deadline_seconds > 0 and math.isfinite(self.deadline_seconds)):
            raise UsageError(f"a deadline (--deadline) must be above 0, not {self.deadline_seconds:g}")
        if not 0 <= self.late_seconds < math.inf:
            raise UsageError(f"--late-after must be finite and at least 0 s, not {self.late_seconds:g} s")

    def _check_streams(self) -> None:
        methods = [call.method for call in self.calls]
        if not 0 <= self.interval_seconds < math.inf:
            raise UsageError(f"--message-interval must be finite and at least 0 s, not {self.interval_seconds:g} s")
        if not self.stream_seconds > 0:
            raise UsageError(f"--stream-duration must be above 0 s, not {self.stream_seconds:g} s")
        if self.interval_seconds and not any(method.client_streaming for method in methods):
            raise UsageError("--message-interval needs a method that takes a stream")
        if self.stream_seconds < math.inf:
            if not any(method.client_streaming or method.server_streaming for method in methods):
                raise UsageError("--stream-duration needs a method that takes or returns a stream")
            if self.stream_seconds >= self.deadline_seconds:
                raise UsageError(
                    f"the deadline ({self.deadline_seconds:g} s) ends streams before --stream-duration "
                    f"({self.stream_seconds:g} s): raise --deadline"
                )

    def _check_processes(self) -> None:
        if self.max_in_flight < self.processes:
            raise UsageError("each process needs at least one call in flight: raise --max-in-flight")
        if not 1 <= self.processes <= MOST_PROCESSES:
            raise UsageError(f"--processes must be from 1 to {MOST_PROCESSES}, not {self.processes}")
        if self.in_flight > MOST_IN_FLIGHT:
            raise UsageError(f"a closed loop has at most {MOST_IN_FLIGHT:,} calls (--in-flight), not {self.in_flight}")
        if self.schedule is None and self.in_flight < self.processes:
            raise UsageError("a closed loop needs at least one call in flight in each process: raise --in-flight")

    def described(self) -> dict[str, Any]:
        """Returns the plan for the results file, without secrets and texts of queries."""
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
            "headers": [name.lower() for name, _ in self.headers],
            "calls": [
                {
                    "name": call.name,
                    "method": f"{call.method.service}/{call.method.name}",
                    "weight": call.weight,
                    "payload": call.template,
                    "queries_per_call": call.queries_per_call,
                    "checks": list(call.checks),
                    "headers": [name.lower() for name, _ in call.headers],
                }
                for call in self.calls
            ],
            **loop,
            "seconds": _finite(self.seconds),
            "count": self.count,
            "warm_up_seconds": self.warm_up_seconds,
            "deadline_seconds": self.deadline_seconds,
            "interval_seconds": self.interval_seconds,
            "stream_seconds": _finite(self.stream_seconds),
            "late_seconds": self.late_seconds,
            "processes": self.processes,
            "queries": {
                "count": len(self.queries),
                "order": self.order,
                "zipf_exponent": self.zipf_exponent,
                "unique": self.unique_from is not None,
            },
            "unique_from": self.unique_from,
            "labelled_queries": len(self.labels),
            "quality_at": self.quality_at,
            "compared_with_reference_answers": bool(self.reference_answers),
            "error_fields": self.error_fields,
            "seed": self.seed,
            "metrics_url": self.metrics_url,
        }


def _finite(seconds: float) -> float | None:
    """Returns `None` for an endless duration: JSON has no infinity."""
    return None if math.isinf(seconds) else seconds
