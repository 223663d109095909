"""Exports spans in a separate thread, from a bounded queue. What cannot be exported is counted."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from server.logs.rate import RepeatedLine
from server.setting_types import CollectorAddress

log = logging.getLogger(__name__)

QUEUE_SPANS = 4096
"""Maximum spans that wait for export or are being exported."""

BATCH_SPANS = 512

DELAY_SECONDS = 1.0
"""Time that spans wait for others of their batch."""

EXPORT_SECONDS = 5.0
"""Maximum time of an export with its retries."""

CLOSE_SECONDS = 3.0
"""Maximum time that the end of the server waits for the last spans."""


class CollectorExporter(SpanExporter):
    """Sends spans to the collector, and reports how many it could not send."""

    def __init__(self, endpoint: CollectorAddress, on_dropped: Callable[[int], object]) -> None:
        # Its libraries log a line for each attempt, and tracebacks: `_failures` takes their place.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL + 1)
        self._exporter = OTLPSpanExporter(
            f"{'https' if endpoint.tls else 'http'}://{endpoint.address}",
            insecure=not endpoint.tls,
            timeout=EXPORT_SECONDS,
        )
        self._on_dropped = on_dropped
        self._failures = RepeatedLine(
            log, f"spans cannot be sent to {endpoint.address} (%d exports failed): is a collector running there?"
        )
        self.taken: Callable[[int], object] = lambda _: None
        """Called with the number of spans that have left the queue, once they are sent or dropped."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Sends spans."""
        result = SpanExportResult.FAILURE
        try:
            result = self._exporter.export(spans)
        finally:
            self.taken(len(spans))
            if result is not SpanExportResult.SUCCESS:
                self._on_dropped(len(spans))
                self._failures.add()
        return result

    def shutdown(self) -> None:
        """Ends a running export and rejects later ones."""
        self._exporter.shutdown()


class SpanQueue(BatchSpanProcessor):
    """The queue. The one of OpenTelemetry drops the oldest spans without a count."""

    def __init__(self, exporter: CollectorExporter, on_dropped: Callable[[int], object]) -> None:
        super().__init__(
            exporter,
            max_queue_size=QUEUE_SPANS,
            max_export_batch_size=BATCH_SPANS,
            schedule_delay_millis=DELAY_SECONDS * 1000,
        )
        exporter.taken = self._take
        self._exporting = exporter
        self._on_dropped = on_dropped
        self._lock = threading.Lock()
        self._spans = 0

    def on_end(self, span: ReadableSpan) -> None:
        """Takes a span, or drops it if the queue is full."""
        with self._lock:
            full = self._spans >= QUEUE_SPANS
            self._spans += not full
        if full:
            self._on_dropped(1)
        else:
            super().on_end(span)

    def close(self) -> None:
        """Sends the last spans, but not for long."""
        closing = threading.Thread(target=self.shutdown, daemon=True)
        closing.start()
        closing.join(CLOSE_SECONDS)
        self._exporting.shutdown()

    def _take(self, count: int) -> None:
        with self._lock:
            self._spans -= count
