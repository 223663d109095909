"""Calls, and the queries of streams.

The `grpc_server_*` metrics have the names of go-grpc-middleware, so that its dashboards and alert rules work.
"""

from collections.abc import Iterable
from functools import partial
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from server.metrics.buckets import SECONDS

CODES = [
    "OK", "Canceled", "Unknown", "InvalidArgument", "DeadlineExceeded", "NotFound", "AlreadyExists", "PermissionDenied",
    "ResourceExhausted", "FailedPrecondition", "Aborted", "OutOfRange", "Unimplemented", "Internal", "Unavailable",
    "DataLoss", "Unauthenticated",
]  # fmt: skip
"""The names of gRPC's status codes 0 to 16, spelled as Go spells them."""


class Method(NamedTuple):
    """An RPC method. `kind` is go-grpc-middleware's name, such as `unary` or `bidi_stream`."""

    service: str
    name: str
    kind: str


class CallMetrics:
    """The metrics of calls.

    Attributes:
        of_method: The series of each method, by its path, such as `/chaja.v1.SearchService/Search`.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        methods: Iterable[Method],
        *,
        reasons: Iterable[str],
        latency_objective_seconds: float,
    ) -> None:
        """Creates every series for the given methods and reasons of errors."""
        counter = partial(Counter, registry=registry)
        labels = ["grpc_type", "grpc_service", "grpc_method"]
        self.started = counter("grpc_server_started_total", "Calls started on the server.", labels)
        self.handled = counter(
            "grpc_server_handled_total",
            "Calls completed on the server, regardless of success or failure.",
            [*labels, "grpc_code"],
        )
        self.handling_seconds = Histogram(
            "grpc_server_handling_seconds",
            "Time from a call's arrival in the server's code to its answer.",
            labels,
            buckets=sorted({*SECONDS, latency_objective_seconds}),
            registry=registry,
        )
        Gauge(
            "chaja_latency_objective_seconds",
            "--latency-objective-seconds. It is a bucket boundary of grpc_server_handling_seconds.",
            registry=registry,
        ).set(latency_objective_seconds)
        self.response_bytes = counter(
            "chaja_response_bytes_total", "Bytes of answers, before compression.", ["grpc_service", "grpc_method"]
        )
        errors = counter(
            "chaja_call_errors_total",
            "Calls, and queries of streams, that ended with an error, by the reason of docs/errors.md.",
            ["reason"],
        )
        self.errors = {reason: errors.labels(reason) for reason in reasons}
        self.of_method = {f"/{method.service}/{method.name}": MethodMetrics(self, method) for method in methods}
        stream_queries = counter(
            "chaja_stream_queries_total",
            "Queries of streams, by the status code of each query's answer.",
            ["grpc_code"],
        )
        self._stream_queries = [stream_queries.labels(code) for code in CODES]

    def end_stream_query(self, code: int, reason: str | None) -> None:
        """Counts a query of a stream by the gRPC status code (0 to 16) of its answer, and the reason of its error."""
        self._stream_queries[code].inc()
        if reason is not None:
            self.errors[reason].inc()


class MethodMetrics:
    """The series of one method, looked up once: a lookup takes a lock and costs more than the increment."""

    def __init__(self, metrics: CallMetrics, method: Method) -> None:
        labels = (method.kind, method.service, method.name)
        self._started = metrics.started.labels(*labels)
        self._handling_seconds = metrics.handling_seconds.labels(*labels)
        self._handled = [metrics.handled.labels(*labels, code) for code in CODES]
        self._response_bytes = metrics.response_bytes.labels(method.service, method.name)
        self._errors = metrics.errors

    def start(self) -> None:
        """Counts the arrival of a call."""
        self._started.inc()

    def answer(self, size_bytes: int) -> None:
        """Counts the bytes of an answer."""
        self._response_bytes.inc(size_bytes)

    def end(
        self, code: int, seconds: float, *, reason: str | None = None, exemplar: dict[str, str] | None = None
    ) -> None:
        """Counts the end of a call by its gRPC status code (0 to 16) and the reason of its error; records its time.

        `exemplar` names the trace of the call.
        """
        self._handled[code].inc()
        self._handling_seconds.observe(seconds, exemplar)
        if reason is not None:
            self._errors[reason].inc()
