"""Begins and ends the traces of calls, and writes the access log and the audit log when they end."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import grpc

from server.call_context import CallContext
from server.logs.access import AccessLog
from server.logs.audit import AuditLog
from server.logs.event import EndedCall

if TYPE_CHECKING:
    from server.tracing.tracer import Tracer

NAME_OF = {code.value[0]: code.name for code in grpc.StatusCode}

OK = grpc.StatusCode.OK.value[0]


class CallObserver:
    """Observes the beginnings and the ends of calls. Used on the event loop only."""

    def __init__(self, access: AccessLog, audit: AuditLog, tracer: Tracer | None) -> None:
        self._access = access
        self._audit = audit
        self._tracer = tracer

    def began(self, call: CallContext) -> None:
        """Takes a call that the gate has admitted: it may be traced."""
        if self._tracer is not None:
            call.trace = self._tracer.begin(call)

    def ended(
        self,
        call: CallContext,
        *,
        code: int,
        reason: str,
        seconds: float,
        request_bytes: int,
        response_bytes: int,
        caller: Callable[[], str],
        context: Any,
    ) -> None:
        """Takes a call that has ended; `caller` returns the name of its token."""
        if call.trace is not None:
            call.trace.end(
                code=code,
                name=NAME_OF[code],
                reason=reason,
                request_bytes=request_bytes,
                response_bytes=response_bytes,
            )
        accessed, audited = self._access.wants(failed=code != OK), self._audit.wants(call.method)
        if not accessed and not audited:
            return
        ended = EndedCall(
            method=call.method,
            code=NAME_OF[code],
            reason=reason,
            duration_seconds=seconds,
            request_bytes=request_bytes,
            response_bytes=response_bytes,
            token=caller(),
            peer=context.peer(),
            request_id=call.request_id,
            trace_id=call.trace_id,
        )
        if accessed:
            self._access.write(ended)
        if audited:
            self._audit.call(ended, call.counts)
