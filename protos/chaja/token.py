"""Sends a bearer token with every call (RFC 6750).

gRPC's call credentials require a channel with TLS, even where a sidecar handles TLS.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc

from chaja.deadline import CallDetails


class BearerToken(
    grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor, grpc.StreamStreamClientInterceptor
):
    """Adds a token to calls over a blocking channel."""

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
    """Adds a token to unary calls over an asyncio channel."""

    def __init__(self, token: str) -> None:
        self._token = token

    async def intercept_unary_unary(
        self, continuation: Callable[..., Any], client_call_details: Any, request: Any
    ) -> Any:
        """Makes the call, with the token."""
        return await continuation(_with_token(client_call_details, self._token), request)


class AsyncAnswerBearerToken(grpc.aio.UnaryStreamClientInterceptor):
    """Adds a token to calls that a stream answers, over an asyncio channel."""

    def __init__(self, token: str) -> None:
        self._token = token

    async def intercept_unary_stream(
        self, continuation: Callable[..., Any], client_call_details: Any, request: Any
    ) -> Any:
        """Makes the call, with the token."""
        return await continuation(_with_token(client_call_details, self._token), request)


class AsyncStreamBearerToken(grpc.aio.StreamStreamClientInterceptor):
    """Adds a token to streams over an asyncio channel; grpc.aio needs an interceptor for each kind of call."""

    def __init__(self, token: str) -> None:
        self._token = token

    async def intercept_stream_stream(
        self, continuation: Callable[..., Any], client_call_details: Any, request_iterator: Any
    ) -> Any:
        """Makes the call, with the token."""
        return await continuation(_with_token(client_call_details, self._token), request_iterator)


def check_token(token: str) -> None:
    """Rejects tokens that gRPC would accept here and then fail on with every call.

    Raises:
        ValueError: The token is empty, or has whitespace or other characters that a header cannot carry.
    """
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise ValueError("a token must be printable ASCII without whitespace; if it is from a file, strip the newline")


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
