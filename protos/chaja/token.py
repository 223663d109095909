"""Sends a bearer token with every call (RFC 6750).

gRPC's own call credentials refuse channels without TLS, also where a sidecar does the TLS.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc

from chaja.deadline import CallDetails


class BearerToken(
    grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor, grpc.StreamStreamClientInterceptor
):
    """Gives calls over a blocking channel a token."""

    def __init__(self, token: str) -> None:
        self._token = token

    def intercept_unary_unary(self, continuation: Callable[..., Any], client_call_details: Any, request: Any) -> Any:
        """Makes the call, with the token."""
        return continuation(_with_token(client_call_details, self._token), request)

    def intercept_unary_stream(self, continuation: Callable[..., Any], client_call_details: Any, request: Any) -> Any:
        """Makes the call, with the token."""
        return continuation(_with_token(client_call_details, self._token), request)

    def intercept_stream_stream(
        self, continuation: Callable[..., Any], client_call_details: Any, request_iterator: Any
    ) -> Any:
        """Makes the call, with the token."""
        return continuation(_with_token(client_call_details, self._token), request_iterator)


class AsyncBearerToken(grpc.aio.UnaryUnaryClientInterceptor):
    """Gives unary calls over an asyncio channel a token."""

    def __init__(self, token: str) -> None:
        self._token = token

    async def intercept_unary_unary(
        self, continuation: Callable[..., Any], client_call_details: Any, request: Any
    ) -> Any:
        """Makes the call, with the token."""
        return await continuation(_with_token(client_call_details, self._token), request)


class AsyncAnswerBearerToken(grpc.aio.UnaryStreamClientInterceptor):
    """Gives calls over an asyncio channel a token that are answered with a stream."""

    def __init__(self, token: str) -> None:
        self._token = token

    async def intercept_unary_stream(
        self, continuation: Callable[..., Any], client_call_details: Any, request: Any
    ) -> Any:
        """Makes the call, with the token."""
        return await continuation(_with_token(client_call_details, self._token), request)


class AsyncStreamBearerToken(grpc.aio.StreamStreamClientInterceptor):
    """Gives streams over an asyncio channel a token; gRPC takes an interceptor for one kind of call only."""

    def __init__(self, token: str) -> None:
        self._token = token

    async def intercept_stream_stream(
        self, continuation: Callable[..., Any], client_call_details: Any, request_iterator: Any
    ) -> Any:
        """Makes the call, with the token."""
        return await continuation(_with_token(client_call_details, self._token), request_iterator)


def check_token(token: str) -> None:
    """Refuses what gRPC would take and then fail on with every call.

    Raises:
        ValueError: The token is empty, or has blanks or other characters that a header cannot carry.
    """
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise ValueError("a token is printable ASCII without blanks; was it read from a file with the end of its line?")


def _with_token(details: Any, token: str) -> Any:
    metadata = [*(details.metadata or ()), ("authorization", f"Bearer {token}")]
    if isinstance(details.metadata, grpc.aio.Metadata):
        metadata = grpc.aio.Metadata(*metadata)  # type: ignore[assignment]
    return CallDetails(
        details.method,
        details.timeout,
        metadata,
        details.credentials,
        details.wait_for_ready,
        getattr(details, "compression", None),
    )
