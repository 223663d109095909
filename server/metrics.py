"""The server's Prometheus metrics. All series exist before the first request.

The `grpc_server_*` metrics have the names of go-grpc-middleware, so that its dashboards and alert rules work.
"""

import platform
from collections.abc import Iterable
from functools import partial
from typing import Literal, NamedTuple, get_args

import onnxruntime
import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from chaja import __version__
from server.core_log import FailedHandshake
from server.stages import STAGES, Stopwatch

CODES = [
    "OK", "Canceled", "Unknown", "InvalidArgument", "DeadlineExceeded", "NotFound", "AlreadyExists", "PermissionDenied",
    "ResourceExhausted", "FailedPrecondition", "Aborted", "OutOfRange", "Unimplemented", "Internal", "Unavailable",
    "DataLoss", "Unauthenticated",
]  # fmt: skip
"""The names of gRPC's status codes 0 to 16, spelled as Go spells them."""

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
STAGE_SECONDS = (0.00005, 0.0001, 0.00025, *SECONDS)
BATCH_TEXTS = tuple(2.0**power for power in range(11))
BATCH_TOKENS = tuple(2.0**power for power in range(3, 15))

Refusal = Literal[
    "token_missing",
    "token_unknown",
    "role_insufficient",
    "unknown_method",
    "message_too_large",
    "headers_too_large",
    "connection_overloaded",
    FailedHandshake,
]
"""The reasons for which calls and connections are refused before a method begins."""

REFUSALS: tuple[Refusal, ...] = get_args(Refusal)

prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]


class Method(NamedTuple):
    """An RPC method. `kind` is go-grpc-middleware's name, such as `unary` or `bidi_stream`."""

    service: str
    name: str
    kind: str


class Metrics:
    """The server's metrics, in a separate registry."""

    def __init__(self, methods: Iterable[Method]) -> None:
        """Creates every series for the given methods."""
        self.registry = CollectorRegistry()
        prometheus_client.ProcessCollector(registry=self.registry)
        prometheus_client.GCCollector(registry=self.registry)
        counter = partial(Counter, registry=self.registry)
        gauge = partial(Gauge, registry=self.registry)
        histogram = partial(Histogram, registry=self.registry)
        labels = ["grpc_type", "grpc_service", "grpc_method"]
        self._started = counter("grpc_server_started_total", "Calls started on the server.", labels)
        self._handled = counter(
            "grpc_server_handled_total",
            "Calls completed on the server, regardless of success or failure.",
            [*labels, "grpc_code"],
        )
        self._handling_seconds = histogram(
            "grpc_server_handling_seconds",
            "Time from a call's arrival in the server's code to its answer.",
            labels,
            buckets=SECONDS,
        )
        self.calls = {f"/{method.service}/{method.name}": CallMetrics(self, method) for method in methods}
        self.grpc_restarts = counter(
            "chaja_grpc_restarts_total", "Restarts of the gRPC server after a client crashed it (SECURITY.md)."
        )
        refused = counter(
            "chaja_refused_total", "Calls and connections refused before a method could begin, by reason.", ["reason"]
        )
        self.refused = {reason: refused.labels(reason) for reason in REFUSALS}
        stage_seconds = histogram(
            "chaja_stage_seconds",
            "Time that a text spent in each stage. It includes the work on texts of the same batch, but no wait for "
            "other texts of its call.",
            ["stage"],
            buckets=STAGE_SECONDS,
        )
        self._stage_seconds = {stage: stage_seconds.labels(stage) for stage in STAGES}
        self.batch_texts = histogram("chaja_batch_texts", "Texts in an encoded batch.", buckets=BATCH_TEXTS)
        self.batch_tokens = histogram("chaja_batch_tokens", "Tokens in an encoded batch.", buckets=BATCH_TOKENS)
        self.encode_cpu_seconds = counter("chaja_encode_cpu_seconds_total", "CPU time that the encoder has used.")
        self.queue_texts = gauge("chaja_queue_texts", "Texts that wait for a worker.")
        self.dropped_texts = counter(
            "chaja_dropped_texts_total",
            "Texts dropped from the queue: their caller had cancelled, their deadline had passed, or they had waited "
            "longer than --longest-wait-seconds.",
        )
        cache_lookups = counter(
            "chaja_cache_lookups_total",
            "Queries looked up in the vector cache: hit, miss, or shared with an identical query in flight.",
            ["result"],
        )
        self.cache_hits, self.cache_misses, self.cache_shared = (
            cache_lookups.labels(result) for result in ("hit", "miss", "shared")
        )
        self.cache_bytes = gauge("chaja_cache_bytes", "Memory that the vector cache uses.")
        stream_queries = counter(
            "chaja_stream_queries_total",
            "Queries of streams, by the status code of each query's answer.",
            ["grpc_code"],
        )
        self._stream_queries = [stream_queries.labels(code) for code in CODES]
        self._reloads = counter(
            "chaja_reloads_total",
            "Reloads of the bundle or the catalogue file while serving, by result: ok or failed.",
            ["result"],
        )
        for result in ("ok", "failed"):
            self._reloads.labels(result)
        self.catalogue_documents = gauge("chaja_catalogue_documents", "Documents in the catalogue.")
        self.catalogue_vectors = gauge("chaja_catalogue_vectors", "Vectors of the documents.")
        self.catalogue_sequence = gauge("chaja_catalogue_sequence", "Sequence of the newest change that searches see.")
        self.index_recall = gauge(
            "chaja_index_recall",
            'Recall@10 of the index, measured on a sample of searches (query="search") and on vectors of random '
            'documents (query="document"); 1 while every vector is compared.',
            ["query"],
        )
        for query in ("search", "document"):
            self.index_recall.labels(query).set(1)
        self.index_ef_search = gauge("chaja_index_ef_search", "Candidates that a search of the index's graph keeps.")
        self.commit_seconds = histogram(
            "chaja_commit_seconds",
            "Time until a group of changes is durable and visible to searches.",
            buckets=STAGE_SECONDS,
        )
        self.changes = counter("chaja_changes_total", "Documents written or deleted; every version counts.")
        gauge(
            "chaja_build_info",
            "Always 1; the labels show the versions.",
            ["version", "python_version", "onnxruntime_version"],
        ).labels(__version__, platform.python_version(), onnxruntime.__version__).set(1)
        self._model_info = gauge(
            "chaja_model_info",
            "Always 1 once the model is loaded; the labels describe the model.",
            ["name", "revision", "quantization", "encoder"],
        )

    def describe_model(self, *, name: str, revision: str, quantization: str, encoder: str) -> None:
        """Sets the labels of the served model and removes the previous ones."""
        self._model_info.clear()
        self._model_info.labels(name, revision, quantization, encoder).set(1)

    def count_reload(self, *, failed: bool) -> None:
        """Counts a reload of the bundle or the catalogue file."""
        self._reloads.labels("failed" if failed else "ok").inc()

    def count_stream_query(self, code: int) -> None:
        """Counts a query of a stream by the gRPC status code (0 to 16) of its answer."""
        self._stream_queries[code].inc()

    def observe_stages(self, stopwatch: Stopwatch) -> None:
        """Records the time that one text spent in each stage."""
        for stage, seconds in stopwatch.seconds.items():
            self._stage_seconds[stage].observe(seconds)


class CallMetrics:
    """The series of one method, looked up once: a lookup takes a lock and costs more than the increment."""

    def __init__(self, metrics: Metrics, method: Method) -> None:
        labels = (method.kind, method.service, method.name)
        self._started = metrics._started.labels(*labels)
        self._handling_seconds = metrics._handling_seconds.labels(*labels)
        self._handled = [metrics._handled.labels(*labels, code) for code in CODES]

    def start(self) -> None:
        """Counts the arrival of a call."""
        self._started.inc()

    def end(self, code: int, seconds: float) -> None:
        """Counts the end of a call by its gRPC status code (0 to 16), and records its duration."""
        self._handled[code].inc()
        self._handling_seconds.observe(seconds)
