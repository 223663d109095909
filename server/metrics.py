"""Everything that Prometheus can ask of the server. All series exist before the first request.

The `grpc_server_*` metrics are those of go-grpc-middleware, so that dashboards and alert rules made for it fit.
"""

import platform
from collections.abc import Iterable
from functools import partial
from typing import NamedTuple

import onnxruntime
import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from chaja import __version__
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

prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]


class Method(NamedTuple):
    """A method of ours; its kind is called as go-grpc-middleware does it, as in `unary` or `bidi_stream`."""

    service: str
    name: str
    kind: str


class Metrics:
    """The server's instruments, in a registry of their own."""

    def __init__(self, methods: Iterable[Method]) -> None:
        """Makes every series for the given methods."""
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
            "Calls completed on the server, whatever their success.",
            [*labels, "grpc_code"],
        )
        self._handling_seconds = histogram(
            "grpc_server_handling_seconds",
            "Time from the arrival of a call at the server's code to its answer.",
            labels,
            buckets=SECONDS,
        )
        self.calls = {f"/{method.service}/{method.name}": CallMetrics(self, method) for method in methods}
        stage_seconds = histogram(
            "chaja_stage_seconds",
            "Time that a text spent in each stage; they sum up to its whole time but for waits for others of its call.",
            ["stage"],
            buckets=STAGE_SECONDS,
        )
        self._stage_seconds = {stage: stage_seconds.labels(stage) for stage in STAGES}
        self.batch_texts = histogram("chaja_batch_texts", "Texts in an encoded batch.", buckets=BATCH_TEXTS)
        self.batch_tokens = histogram("chaja_batch_tokens", "Tokens in an encoded batch.", buckets=BATCH_TOKENS)
        self.encode_cpu_seconds = counter("chaja_encode_cpu_seconds_total", "CPU time that the encoder has taken.")
        self.queue_texts = gauge("chaja_queue_texts", "Texts that wait for a worker.")
        self.dropped_texts = counter(
            "chaja_dropped_texts_total",
            "Texts that nobody waited for any more when a worker came to them; they were not encoded.",
        )
        cache_lookups = counter(
            "chaja_cache_lookups_total",
            "Queries looked up in the cache of vectors: hit; miss; or shared, encoded once with one in flight.",
            ["result"],
        )
        self.cache_hits, self.cache_misses, self.cache_shared = (
            cache_lookups.labels(result) for result in ("hit", "miss", "shared")
        )
        self.cache_bytes = gauge("chaja_cache_bytes", "Memory that the cache of vectors holds.")
        stream_queries = counter(
            "chaja_stream_queries_total",
            "Queries of streams, by the code that each was answered with in its place.",
            ["grpc_code"],
        )
        self._stream_queries = [stream_queries.labels(code) for code in CODES]
        self._reloads = counter(
            "chaja_reloads_total",
            "Loadings of another bundle or catalogue while serving, by result: ok or failed.",
            ["result"],
        )
        for result in ("ok", "failed"):
            self._reloads.labels(result)
        self.catalogue_documents = gauge("chaja_catalogue_documents", "Documents in the catalogue.")
        self.catalogue_vectors = gauge("chaja_catalogue_vectors", "Vectors in the index.")
        self.catalogue_sequence = gauge("chaja_catalogue_sequence", "Sequence of the newest change that searches see.")
        self.index_recall = gauge(
            "chaja_index_recall",
            "Recall at 10 of the index, as measured on a sample of the searches; 1 while every vector is compared.",
        )
        self.index_recall.set(1)
        self.index_ef_search = gauge("chaja_index_ef_search", "Candidates that a search of the index's graph keeps.")
        self.commit_seconds = histogram(
            "chaja_commit_seconds",
            "Time until a group of changes is durable and searches have it.",
            buckets=STAGE_SECONDS,
        )
        self.changes = counter("chaja_changes_total", "Documents written or deleted, with every version of each.")
        gauge(
            "chaja_build_info",
            "Always 1; the labels tell the versions.",
            ["version", "python_version", "onnxruntime_version"],
        ).labels(__version__, platform.python_version(), onnxruntime.__version__).set(1)
        self._model_info = gauge(
            "chaja_model_info",
            "Always 1 once the model is loaded; the labels tell which one.",
            ["name", "revision", "quantization", "encoder"],
        )

    def describe_model(self, *, name: str, revision: str, quantization: str, encoder: str) -> None:
        """Says which model is served from now on, and no other."""
        self._model_info.clear()
        self._model_info.labels(name, revision, quantization, encoder).set(1)

    def count_reload(self, *, failed: bool) -> None:
        """Counts a loading of another bundle or catalogue."""
        self._reloads.labels("failed" if failed else "ok").inc()

    def count_stream_query(self, code: int) -> None:
        """Counts a query of a stream that was answered with a gRPC status code (0 to 16)."""
        self._stream_queries[code].inc()

    def observe_stages(self, stopwatch: Stopwatch) -> None:
        """Counts the stages of one text."""
        for stage, seconds in stopwatch.seconds.items():
            self._stage_seconds[stage].observe(seconds)


class CallMetrics:
    """The series of one method, looked up once: a look-up takes a lock and costs more than the count."""

    def __init__(self, metrics: Metrics, method: Method) -> None:
        labels = (method.kind, method.service, method.name)
        self._started = metrics._started.labels(*labels)
        self._handling_seconds = metrics._handling_seconds.labels(*labels)
        self._handled = [metrics._handled.labels(*labels, code) for code in CODES]

    def start(self) -> None:
        """Counts a call that has arrived."""
        self._started.inc()

    def end(self, code: int, seconds: float) -> None:
        """Counts a call that ended with a gRPC status code (0 to 16)."""
        self._handled[code].inc()
        self._handling_seconds.observe(seconds)
