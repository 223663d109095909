"""What every call of our services goes through: it is counted, its token is checked, and its errors get a name.

The handlers are wrapped once, when they are registered: an interceptor of gRPC would be run, and make a new handler,
with every call.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Any, TypeAlias, cast

import grpc

from server.errors import Overloaded
from server.metrics import CallMetrics, Metrics
from server.rpc.errors import Refusal, refusal_of
from server.security.access import Access
from server.transport import request as transport

OK = grpc.StatusCode.OK.value[0]
UNKNOWN = grpc.StatusCode.UNKNOWN.value[0]
CANCELLED = grpc.StatusCode.CANCELLED.value[0]
DEADLINE_EXCEEDED = grpc.StatusCode.DEADLINE_EXCEEDED.value[0]
RESOURCE_EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]

SEARCH = "/chaja.v1.SearchService/Search"

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"

REGISTER_OF: dict[tuple[bool, bool], Callable[..., Handler]] = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}
"""What makes the handler of a method, by whether its requests and its responses are streams."""


class Calls:
    """Takes the place of the gRPC server where the generated code registers a service's handlers."""

    def __init__(self, metrics: Metrics, access: Access, *, overload: Callable[[], Overloaded | None]) -> None:
        """Takes what is asked, before a search is looked at, whether any can be let in."""
        self._metrics = metrics
        self._access = access
        self._overload = overload
        self.handlers: dict[str, dict[str, Handler]] = {}

    def add_generic_rpc_handlers(self, handlers: Any) -> None:
        """Is called by the generated code; the handlers are those that are registered as well."""

    def add_registered_method_handlers(self, service: str, handlers: dict[str, Handler]) -> None:
        """Wraps the handlers of a service."""
        self.handlers[service] = {name: self._wrap(f"/{service}/{name}", handler) for name, handler in handlers.items()}

    def gate(self, path: str) -> transport.Refusal | None:
        """Refuses searches that would be refused whatever they ask, at half of what it costs to look at them."""
        if path != SEARCH or (error := self._overload()) is None:
            return None
        call_metrics = self._metrics.calls[path]
        call_metrics.start()
        call_metrics.end(RESOURCE_EXHAUSTED, 0.0)
        return _to_transport(refusal_of(error, path))

    def _wrap(self, path: str, handler: Handler) -> Handler:
        call_metrics = self._metrics.calls[path]
        decode = cast(Callable[[bytes], Any], handler.request_deserializer)

        def call(context: Any) -> Call:
            return Call(path, call_metrics, self._access, context)

        def decoded(request: Any) -> Any:
            """Returns one request, or those of a stream as they come.

            They are decoded here: gRPC itself would answer bytes that are no message with UNKNOWN and a traceback.
            """
            if handler.request_streaming:
                return (decode(each) async for each in request)
            return decode(request)

        method = cast(Callable[[Any, Any], Any], _method_of(handler))

        async def answer(request: Any, context: Any) -> Any:
            async with call(context):
                return await method(decoded(request), context)

        async def answer_with_stream(request: Any, context: Any) -> AsyncIterator[Any]:
            async with call(context), contextlib.aclosing(method(decoded(request), context)) as responses:
                async for response in responses:
                    yield response

        register = REGISTER_OF[handler.request_streaming, handler.response_streaming]
        wrapped = answer_with_stream if handler.response_streaming else answer
        return register(wrapped, response_serializer=handler.response_serializer)


def _method_of(handler: Handler) -> Any:
    """Returns the method of a handler, which has it by the name of its shape."""
    if handler.request_streaming:
        return handler.stream_stream if handler.response_streaming else handler.stream_unary
    return handler.unary_stream if handler.response_streaming else handler.unary_unary


@functools.lru_cache(maxsize=1024)
def _to_transport(refusal: Refusal) -> transport.Refusal:
    return transport.Refusal(refusal.code, refusal.message, metadata=refusal.metadata)


class Call:
    """One call, from its arrival at our code to its end."""

    __slots__ = ("_access", "_context", "_metrics", "_path", "_started")

    def __init__(self, path: str, metrics: CallMetrics, access: Access, context: Any) -> None:
        self._path = path
        self._metrics = metrics
        self._access = access
        self._context = context
        self._started = time.perf_counter()

    async def __aenter__(self) -> None:
        self._metrics.start()
        try:
            self._access.check(self._path, self._context.invocation_metadata)
        except Exception as error:
            await self._abort(error)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            self._end(OK)
        elif isinstance(error, (asyncio.CancelledError, GeneratorExit)):
            remaining = self._context.time_remaining()
            self._end(DEADLINE_EXCEEDED if remaining is not None and remaining <= 0 else CANCELLED)
        elif isinstance(error, Exception) and not isinstance(error, grpc.aio.AbortError):
            await self._abort(error)
        else:
            self._end(UNKNOWN)

    async def _abort(self, error: Exception) -> None:
        refusal = refusal_of(error, self._path)
        self._end(refusal.code.value[0])
        await self._context.abort(refusal.code, refusal.message, refusal.metadata)

    def _end(self, code: int) -> None:
        self._metrics.end(code, time.perf_counter() - self._started)
