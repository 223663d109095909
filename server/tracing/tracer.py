"""Decides which calls are traced, and makes the spans of calls and batches."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Mapping, Sequence

from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from chaja import __version__
from server.call_context import CallContext, Parent
from server.setting_types import CollectorAddress
from server.stages import Lap
from server.tracing.exporting import CollectorExporter, SpanQueue

MAX_CALLS = 100
"""Calls that are traced in a second. More are not, and are counted: callers choose how many they sample."""

MAX_QUERIES = 32
"""Queries or texts of a call that have spans. Further ones have none: a stream may have millions."""

FAULTS = {"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"}
"""The codes that are errors of a server's span (OpenTelemetry's semantic conventions for gRPC)."""

Attributes = Mapping[str, str | int | float | bool]


class Tracer:
    """Makes traces, each of which any thread may use. `begin` is for the event loop only."""

    def __init__(self, endpoint: CollectorAddress, *, share: float, on_dropped: Callable[[int], object]) -> None:
        """Takes the share of calls without a parent that are traced; `on_dropped` counts spans, in any thread."""
        self._share = share
        self._on_dropped = on_dropped
        self._queue = SpanQueue(CollectorExporter(endpoint, on_dropped), on_dropped)
        attributes: dict[str, str] = {"service.version": __version__}
        named = "OTEL_SERVICE_NAME" in os.environ or "service.name=" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
        if not named:
            attributes["service.name"] = "chaja"
        provider = TracerProvider(
            sampler=ALWAYS_ON,  # `begin` has decided.
            resource=Resource.create(attributes),
            shutdown_on_exit=False,
        )
        provider.add_span_processor(self._queue)
        self._tracer = provider.get_tracer("chaja", __version__)
        self._second = 0
        self._calls = 0

    def begin(self, call: CallContext) -> CallTrace | None:
        """Returns the trace of a call that begins now, or None if it is not sampled."""
        parent = call.parent
        sampled = parent.sampled if parent is not None else random.random() < self._share  # noqa: S311
        if not sampled:
            return None
        if (second := int(time.monotonic())) != self._second:
            self._second, self._calls = second, 0
        self._calls += 1
        if self._calls > MAX_CALLS:
            self._on_dropped(1)
            return None
        span = self.span(
            call.method,
            started=time.perf_counter(),
            context=Context() if parent is None else _context_of(parent),
            kind=SpanKind.SERVER,
            attributes={
                "rpc.system": "grpc",
                "rpc.system.name": "grpc",
                "rpc.method": call.method,
                "chaja.request_id": call.request_id,
            },
        )
        return CallTrace(self, span, alone=call.method.endswith("/Search"))

    def span(
        self,
        name: str,
        *,
        started: float,
        context: Context,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes | None = None,
        links: Sequence[SpanContext] = (),
    ) -> Span:
        """Begins a span at a value of `time.perf_counter()`."""
        return self._tracer.start_span(
            name,
            context=context,
            kind=kind,
            attributes=attributes,
            links=[Link(each) for each in links],
            start_time=_nanoseconds(started),
        )

    def close(self) -> None:
        """Exports the last spans, but not for long. Blocks."""
        self._queue.close()


class CallTrace:
    """The trace of one call that is sampled.

    Attributes:
        trace_id: Its id, in hexadecimal.
        context: The context of its server span.
    """

    def __init__(self, tracer: Tracer, span: Span, *, alone: bool) -> None:
        """Takes whether the call is one query: then its stages are children of its server span."""
        self._tracer = tracer
        self._span = span
        self._alone = alone
        self._queries = 0
        self.context = span.get_span_context()
        self.trace_id = f"{self.context.trace_id:032x}"

    def batch(
        self, traces: Sequence[CallTrace], *, started: float, ended: float, attributes: Attributes
    ) -> SpanContext:
        """Makes the span of an encoded batch, linked to the spans of its traced calls; returns its context."""
        links = {each.context.span_id: each.context for each in traces}
        span = self._tracer.span(
            "encode batch", started=started, context=Context(), attributes=attributes, links=list(links.values())
        )
        span.end(_nanoseconds(ended))
        return span.get_span_context()

    def query(self, laps: Sequence[Lap], *, attributes: Attributes, batch: SpanContext | None, failed: bool) -> None:
        """Makes the spans of a query or a text: one for each stage, its encoding linked to the batch."""
        self._queries += 1
        if self._queries > MAX_QUERIES or not laps:
            return
        first_started, last_ended = laps[0][1], laps[-1][2]
        parent = self._span
        if self._alone:
            parent.set_attributes(attributes)
        else:
            parent = self._tracer.span(
                "query", started=first_started, context=set_span_in_context(parent, Context()), attributes=attributes
            )
        context = set_span_in_context(parent, Context())
        for position, (stage, started, ended) in enumerate(laps):
            links = (batch,) if batch is not None and stage == "encode" else ()
            span = self._tracer.span(stage, started=started, context=context, links=links)
            if failed and position == len(laps) - 1:
                span.set_status(Status(StatusCode.ERROR))
            span.end(_nanoseconds(ended))
        if not self._alone:
            if failed:
                parent.set_status(Status(StatusCode.ERROR))
            parent.end(_nanoseconds(last_ended))

    def end(self, *, code: int, name: str, reason: str, request_bytes: int, response_bytes: int) -> None:
        """Ends the trace with the call's gRPC code and its name, and the reason of its error."""
        span = self._span
        span.set_attributes(
            {
                "rpc.response.status_code": name,
                "rpc.grpc.status_code": code,
                "chaja.request_bytes": request_bytes,
                "chaja.response_bytes": response_bytes,
            }
        )
        if self._queries > MAX_QUERIES:
            span.set_attribute("chaja.queries_without_spans", self._queries - MAX_QUERIES)
        if code:
            span.set_attribute("error.type", reason or name)
        if name in FAULTS:
            span.set_status(Status(StatusCode.ERROR, reason or name))
        span.end()


def _context_of(parent: Parent) -> Context:
    state = TraceState.from_header([parent.tracestate]) if parent.tracestate else None
    context = SpanContext(
        int(parent.trace_id, 16),
        int(parent.span_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
        trace_state=state,
    )
    return set_span_in_context(NonRecordingSpan(context), Context())


def _nanoseconds(moment: float) -> int:
    """Returns the Unix time in nanoseconds of a value of `time.perf_counter()`."""
    return time.time_ns() - int((time.perf_counter() - moment) * 1e9)
