"""The process: its versions and its model, its event loop, its reloads, and what it could not report."""

import platform
from collections.abc import Callable
from functools import partial

import onnxruntime
import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from chaja import __version__
from server.metrics.buckets import SECONDS


class ProcessMetrics:
    """The metrics of the process, including prometheus_client's own."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Creates every series."""
        prometheus_client.ProcessCollector(registry=registry)
        prometheus_client.GCCollector(registry=registry)
        counter, gauge = partial(Counter, registry=registry), partial(Gauge, registry=registry)
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
        self.event_loop_lag_seconds = Histogram(
            "chaja_event_loop_lag_seconds",
            "Delay of a timer on the event loop, measured each second.",
            buckets=SECONDS,
            registry=registry,
        )
        self._reloads = counter(
            "chaja_reloads_total",
            "Reloads of the bundle or the catalogue file while serving, by result: ok or failed.",
            ["result"],
        )
        for result in ("ok", "failed"):
            self._reloads.labels(result)
        self._last_reload_failed = gauge("chaja_last_reload_failed", "1 if the last reload failed.")
        self.grpc_restarts = counter(
            "chaja_grpc_restarts_total", "Restarts of the gRPC server after a client crashed it (SECURITY.md)."
        )
        self._certificate_expiry = gauge(
            "chaja_certificate_expiry_timestamp_seconds",
            "Unix time at which the first certificate of --tls-certificate and --http-tls-certificate expires; 0 "
            "without TLS.",
        )
        self._expiries: list[Callable[[], float]] = []
        self.log_lines_dropped = counter(
            "chaja_log_lines_dropped_total", "Log lines that could not be written, or were above the rate."
        )
        self.spans_dropped = counter("chaja_spans_dropped_total", "Spans that could not be exported.")

    def watch_certificate(self, expiry_seconds: Callable[[], float]) -> None:
        """Includes the Unix time at which a certificate expires, which is asked at each scrape."""
        self._expiries.append(expiry_seconds)
        self._certificate_expiry.set_function(lambda: min(each() for each in self._expiries))

    def describe_model(self, *, name: str, revision: str, quantization: str, encoder: str) -> None:
        """Sets the labels of the served model and removes the previous ones."""
        self._model_info.clear()
        self._model_info.labels(name, revision, quantization, encoder).set(1)

    def count_reload(self, *, failed: bool) -> None:
        """Counts a reload of the bundle or the catalogue file."""
        self._reloads.labels("failed" if failed else "ok").inc()
        self._last_reload_failed.set(failed)
