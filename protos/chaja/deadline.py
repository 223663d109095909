"""A deadline for calls that set none: gRPC itself would let them wait for ever.

A service config's `timeout` would not do: it also shortens the deadlines that calls
do set.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import grpc


class CallDetails(NamedTuple):
    """What describes a call, in the shape that both kinds of channel take."""

    method: Any
    timeout: float | None
    metadata: Any
    credentials: grpc.CallCredentials | None
    wait_for_ready: bool | None
    compression: grpc.Compression | None = None


class DefaultDeadline(grpc.UnaryUnaryClientInterceptor):
    """Gives calls over a blocking channel a deadline."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def intercept_unary_unary(self, continuation: Callable[..., Any], client_call_details: Any, request: Any) -> Any:
        """Makes the call, with our deadline if it has none."""
        return continuation(_with_deadline(client_call_details, self._seconds), request)


class AsyncDefaultDeadline(grpc.aio.UnaryUnaryClientInterceptor):
    """Gives calls over an asyncio channel a deadline."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    async def intercept_unary_unary(
        self, continuation: Callable[..., Any], client_call_details: Any, request: Any
    ) -> Any:
        """Makes the call, with our deadline if it has none."""
        return await continuation(_with_deadline(client_call_details, self._seconds), request)


def _with_deadline(details: Any, seconds: float) -> Any:
    if details.timeout is not None:
        return details
    return CallDetails(
        details.method,
        seconds,
        details.metadata,
        details.credentials,
        details.wait_for_ready,
        getattr(details, "compression", None),
    )
