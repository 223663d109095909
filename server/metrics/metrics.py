"""All metrics of one server."""

from collections.abc import Iterable

import prometheus_client
from prometheus_client import CollectorRegistry

from server.defaults import MIN_RECALL
from server.metrics.caches import CacheMetrics
from server.metrics.calls import CallMetrics, Method
from server.metrics.feedback import FeedbackMetrics
from server.metrics.index import IndexMetrics
from server.metrics.process import ProcessMetrics
from server.metrics.refusals import refusal_counters
from server.metrics.searches import SearchMetrics
from server.metrics.store import BackupMetrics, StoreMetrics
from server.metrics.workers import WorkerMetrics

prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]


class Metrics:
    """The server's metrics, in a separate registry."""

    def __init__(
        self,
        methods: Iterable[Method] = (),
        *,
        reasons: Iterable[str] = (),
        workers: int = 1,
        latency_objective_seconds: float = 0.1,
        min_recall: float = MIN_RECALL,
    ) -> None:
        """Creates every series: for the given methods, reasons of their errors, and workers."""
        self.registry = registry = CollectorRegistry()
        self.calls = CallMetrics(
            registry, methods, reasons=reasons, latency_objective_seconds=latency_objective_seconds
        )
        self.refused = refusal_counters(registry)
        self.searches = SearchMetrics(registry)
        self.workers = WorkerMetrics(registry, workers=workers)
        self.caches = CacheMetrics(registry)
        self.index = IndexMetrics(registry, min_recall=min_recall)
        self.store = StoreMetrics(registry)
        self.feedback = FeedbackMetrics(registry)
        self.backups = BackupMetrics(registry)
        self.process = ProcessMetrics(registry)
