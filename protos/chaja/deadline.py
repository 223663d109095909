"""A deadline for unary calls that set none; without one, gRPC would wait forever.

The `timeout` of a service config does not work here: it also shortens deadlines that calls set.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import grpc


class CallDetails(NamedTuple):
    """The details of a call, in the form that blocking and asyncio channels accept."""

    method: Any
    timeout: float | None
    metadata: Any
    credentials: grpc.CallCredentials | None
    wait_for_ready: bool | None
    compression: grpc.Compression | None = None


class DefaultDeadline(grpc.UnaryUnaryClientInterceptor):
    """Sets a deadline on calls over a blocking channel."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def intercept_unary_unary(self, continuation: Callable[..., Any], client_call_details: Any, request: Any) -> Any:
        """Makes the call, with the default deadline if it has none."""
        return continuation(_with_deadline(client_call_details, self._seconds), request)


class AsyncDefaultDeadline(grpc.aio.UnaryUnaryClientInterceptor):
    """Sets a deadline on calls over an asyncio channel."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    async def intercept_unary_unary(
        self, continuation: Callable[..., Any], client_call_details: Any, request: Any
    ) -> Any:
        """Makes the call, with the default deadline if it has none."""
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
