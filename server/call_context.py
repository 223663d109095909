"""The request id and the trace of a call, which its log lines and its spans share.

The running task of a call, and the tasks that it starts, find it with `CallContext.current`.
"""

from __future__ import annotations

import itertools
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Protocol

REQUEST_ID = "x-request-id"
"""The metadata key of the request id, in requests and answers."""

WELL_FORMED_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")
"""A caller's request id that the server uses; others are ignored. It is safe in a log line and in metadata."""

TRACEPARENT = re.compile(r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
"""W3C Trace Context, section 3.2: version, trace id, parent id, flags. Only later versions than 00 may be longer."""

SAMPLED = 1
"""The flag of a trace that is recorded."""

MAX_TRACESTATE_CHARACTERS = 512
"""W3C Trace Context, section 3.3.1.5: a longer tracestate may be dropped."""

_PROCESS = secrets.token_hex(6)
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Parent:
    """The span of the caller, as its metadata names it."""

    trace_id: str
    span_id: str
    sampled: bool
    tracestate: str = ""


class Trace(Protocol):
    """The trace of a call whose spans are exported: see `server.tracing.tracer.CallTrace`."""

    trace_id: str

    def batch(self, traces: Sequence[Any], *, started: float, ended: float, attributes: Mapping[str, int]) -> Any:
        """Makes the span of an encoded batch; returns its context."""

    def query(self, laps: Sequence[Any], *, attributes: Mapping[str, Any], batch: Any, failed: bool) -> None:
        """Makes the spans of a query or a text."""

    def end(self, *, code: int, name: str, reason: str, request_bytes: int, response_bytes: int) -> None:
        """Ends the trace."""


@dataclass(slots=True, eq=False)
class CallContext:
    """The identity of one call, and the counts of what it has written.

    Attributes:
        request_id: The caller's, if it is well-formed; otherwise a new one.
        method: Such as `chaja.v1.SearchService/Search`.
        parent: The span of the caller, if it sent a valid `traceparent`.
        trace: Its trace, if its spans are exported.
        counts: Numbers for the audit log, such as `changed` documents.
    """

    request_id: str
    method: str = ""
    parent: Parent | None = None
    trace: Trace | None = None
    counts: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, path: str, metadata: Iterable[tuple[str, str | bytes]]) -> CallContext:
        """Reads the metadata of a call of the method at `path`."""
        request_id = traceparent = tracestate = ""
        for key, value in metadata:
            if key == REQUEST_ID and isinstance(value, str) and WELL_FORMED_ID.fullmatch(value):
                request_id = value
            elif key == "traceparent" and isinstance(value, str):
                traceparent = value
            elif key == "tracestate" and isinstance(value, str):
                tracestate = f"{tracestate},{value}" if tracestate else value
        parent = _parent(traceparent, tracestate) if traceparent else None
        return cls(request_id or f"{_PROCESS}-{next(_numbers):x}", path[1:], parent)

    @staticmethod
    def current() -> CallContext | None:
        """Returns the context of the call that the running task belongs to; None outside of calls."""
        return _current.get()

    def make_current(self) -> None:
        """Makes `current` return this in the running task and the tasks that it starts."""
        _current.set(self)

    @property
    def trace_id(self) -> str:
        """The id of the call's trace; empty if it has none."""
        if self.trace is not None:
            return self.trace.trace_id
        return "" if self.parent is None else self.parent.trace_id

    @property
    def exemplar(self) -> dict[str, str] | None:
        """The labels of the exemplars of the call's metrics; None unless its spans are exported."""
        return None if self.trace is None else {"trace_id": self.trace.trace_id}

    def count(self, **counts: int) -> None:
        """Adds to the counts."""
        for name, number in counts.items():
            self.counts[name] = self.counts.get(name, 0) + number


def _parent(traceparent: str, tracestate: str) -> Parent | None:
    found = TRACEPARENT.fullmatch(traceparent)
    if found is None or (found[1] == "00" and found[5]):
        return None
    if len(tracestate) > MAX_TRACESTATE_CHARACTERS:
        tracestate = ""
    return Parent(found[2], found[3], bool(int(found[4], 16) & SAMPLED), tracestate)


_current: ContextVar[CallContext | None] = ContextVar("current_call", default=None)
