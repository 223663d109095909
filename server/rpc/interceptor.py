"""The shape of an interceptor for unary methods; others pass through it untouched."""

from __future__ import annotations

import abc
from collections.abc import Awaitable, Callable
from typing import Any, cast

import grpc

UnaryMethod = Callable[[Any, Any], Awaitable[Any]]
"""Takes a request and its context, and gives the response."""


class UnaryInterceptor(grpc.aio.ServerInterceptor, abc.ABC):
    """Wraps every unary method of the server in `call`.

    The request is decoded inside: gRPC itself would answer bytes that are no message with UNKNOWN and a traceback.
    """

    @abc.abstractmethod
    async def call(self, method: UnaryMethod, request: Any, context: Any, path: str) -> Any:
        """Calls `method`; `path` is its full name, as in `/chaja.v1.SearchService/Search`."""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Replaces the handler of a unary method by one that goes through `call`."""
        handler = await continuation(handler_call_details)
        if handler is None or handler.request_streaming or handler.response_streaming:
            return handler
        behaviour, decode = cast(UnaryMethod, handler.unary_unary), handler.request_deserializer
        path = handler_call_details.method

        async def method(request: Any, context: Any) -> Any:
            return await behaviour(decode(request) if decode else request, context)

        async def wrapped(request: Any, context: Any) -> Any:
            return await self.call(method, request, context, path)

        return grpc.unary_unary_rpc_method_handler(
            wrapped,
            response_serializer=handler.response_serializer,
        )
