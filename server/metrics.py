"""Everything that Prometheus can ask of the server. All series exist before the first request.

Names and codes of the `grpc_server_*` metrics are those of go-grpc-middleware, so
that dashboards and alert rules made for it fit.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable

import onnxruntime
import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from chaja import __version__
from server.stages import STAGES, Stopwatch

CODES = [
    "OK",
    "Canceled",
    "Unknown",
    "InvalidArgument",
    "DeadlineExceeded",
    "NotFound",
    "AlreadyExists",
    "PermissionDenied",
    "ResourceExhausted",
    "FailedPrecondition",
    "Aborted",
    "OutOfRange",
    "Unimplemented",
    "Internal",
    "Unavailable",
    "DataLoss",
    "Unauthenticated",
]
"""The names of gRPC's status codes 0 to 16, spelled as Go spells them."""

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
STAGE_SECONDS = (0.00005, 0.0001, 0.00025, *SECONDS)
BATCH_TEXTS = tuple(2.0**power for power in range(11))
BATCH_TOKENS = tuple(2.0**power for power in range(3, 15))

prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]


class Metrics:
    """The server's instruments, in a registry of their own."""

    def __init__(self, methods: Iterable[tuple[str, str]]) -> None:
        """Makes every series for the given unary (service, method) pairs."""
        self.registry = CollectorRegistry()
        prometheus_client.ProcessCollector(registry=self.registry)
        prometheus_client.GCCollector(registry=self.registry)
        labels = ["grpc_type", "grpc_service", "grpc_method"]
        self._started = Counter(
            "grpc_server_started_total", "Calls started on the server.", labels, registry=self.registry
        )
        self._handled = Counter(
            "grpc_server_handled_total",
            "Calls completed on the server, whatever their success.",
            [*labels, "grpc_code"],
            registry=self.registry,
        )
        self._handling_seconds = Histogram(
            "grpc_server_handling_seconds",
            "Time from the arrival of a call at the server's code to its answer.",
            labels,
            buckets=SECONDS,
            registry=self.registry,
        )
        self.calls = {f"/{service}/{method}": CallMetrics(self, service, method) for service, method in methods}
        stage_seconds = Histogram(
            "chaja_stage_seconds",
            "Time that a text spent in each stage; they sum up to its whole time but for waits for others of its call.",
            ["stage"],
            buckets=STAGE_SECONDS,
            registry=self.registry,
        )
        self._stage_seconds = {stage: stage_seconds.labels(stage) for stage in STAGES}
        self.batch_texts = Histogram(
            "chaja_batch_texts", "Texts in an encoded batch.", buckets=BATCH_TEXTS, registry=self.registry
        )
        self.batch_tokens = Histogram(
            "chaja_batch_tokens", "Tokens in an encoded batch.", buckets=BATCH_TOKENS, registry=self.registry
        )
        self.queue_texts = Gauge("chaja_queue_texts", "Texts that wait for an encoding worker.", registry=self.registry)
        self.catalogue_documents = Gauge(
            "chaja_catalogue_documents", "Documents in the catalogue.", registry=self.registry
        )
        self.catalogue_vectors = Gauge("chaja_catalogue_vectors", "Vectors in the index.", registry=self.registry)
        Gauge(
            "chaja_build_info",
            "Always 1; the labels tell the versions.",
            ["version", "python_version", "onnxruntime_version"],
            registry=self.registry,
        ).labels(__version__, platform.python_version(), onnxruntime.__version__).set(1)
        self.model_info = Gauge(
            "chaja_model_info",
            "Always 1 once the model is loaded; the labels tell which one.",
            ["name", "revision", "quantization", "encoder"],
            registry=self.registry,
        )

    def observe_stages(self, stopwatch: Stopwatch) -> None:
        """Counts the stages of one text."""
        for stage, seconds in stopwatch.seconds.items():
            self._stage_seconds[stage].observe(seconds)


class CallMetrics:
    """The series of one unary method, looked up once: a look-up takes a lock and costs more than the count."""

    def __init__(self, metrics: Metrics, service: str, method: str) -> None:
        labels = ("unary", service, method)
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
