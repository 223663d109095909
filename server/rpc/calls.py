"""Wraps every method when it is registered: counts its calls, checks their tokens, and maps their errors.

The server rejects a call without a token, or a Search during overload, before it reads the call's message. So unary
methods are registered as methods that read a stream of one message. Interceptors would make grpc.aio create a new
handler for every call.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Self

import grpc

from server.errors import (
    ChajaError,
    HeadersTooLarge,
    InvalidRequest,
    Overloaded,
    ResponseTooLarge,
    UnknownMethod,
    Violation,
)
from server.memory import Garbage
from server.metrics import CallMetrics, Metrics
from server.rpc.connections import Connections
from server.rpc.errors import refusal_of
from server.rpc.grpc_server import MAX_METADATA_BYTES, Handler, Methods
from server.security.access import ROLE_OF, Access

OK = grpc.StatusCode.OK.value[0]
UNKNOWN = grpc.StatusCode.UNKNOWN.value[0]
CANCELLED = grpc.StatusCode.CANCELLED.value[0]
DEADLINE_EXCEEDED = grpc.StatusCode.DEADLINE_EXCEEDED.value[0]

SEARCH = "/chaja.v1.SearchService/Search"
UNKNOWN_METHOD = "/unknown/unknown"
"""The metric series of calls to unknown methods. A client chooses their names, so they must not become labels."""

HEADER_OVERHEAD_BYTES = 32
"""Size that HTTP/2 counts for a header beyond its name and value (RFC 9113, section 6.5.2)."""

_metadata: ContextVar[Iterable[tuple[str, str | bytes]]] = ContextVar("metadata")
"""The metadata of the task's call. `context.invocation_metadata` would decode all headers once more."""

CANCELLATION_SECONDS = 0.005
"""Time to wait for the cancellation of a call, which grpc.aio reports shortly after the end of its request."""


class Calls(Methods):
    """The methods of all services, wrapped. Health and reflection need no token and are not counted."""

    def __init__(
        self,
        metrics: Metrics,
        access: Access,
        *,
        overload: Callable[[], Overloaded | None],
        max_response_bytes: int,
    ) -> None:
        """Creates an empty table. `overload` returns the error that rejects every Search call now, or None.

        A larger answer than `max_response_bytes` ends its call with ResponseTooLarge. This is the last guard: a method
        whose answers may be large stops before it has built one.
        """
        super().__init__()
        self._metrics = metrics
        self._access = access
        self._overload = overload
        self._max_response_bytes = max_response_bytes
        self._garbage = Garbage()
        self.connections = Connections()
        self.running: set[Call] = set()
        self._unknown_method = self._wrap(UNKNOWN_METHOD, grpc.unary_unary_rpc_method_handler(_refuse_unknown_method))

    def add_registered_method_handlers(self, service: str, handlers: dict[str, Handler]) -> None:
        """Wraps and adds the methods of a service."""
        wrapped = {name: self._wrap(f"/{service}/{name}", handler) for name, handler in handlers.items()}
        super().add_registered_method_handlers(service, wrapped)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Handler:
        """Returns the handler of a call's method; unknown methods share one handler."""
        _metadata.set(handler_call_details.invocation_metadata or ())
        return super().service(handler_call_details) or self._unknown_method

    def end_all(self, error: ChajaError) -> None:
        """Ends all running calls with an error."""
        for call in list(self.running):
            call.end(error)

    def check(self, path: str) -> None:
        """Raises an error if the call must be rejected before its message is read."""
        metadata = _metadata.get()
        size = sum(HEADER_OVERHEAD_BYTES + len(key) + len(value) for key, value in metadata)
        if size > MAX_METADATA_BYTES:
            self._garbage.collect_soon()
            limit = f"at most {MAX_METADATA_BYTES} are allowed"
            raise HeadersTooLarge(f"the call's headers have {size} bytes; {limit}: send fewer")
        if path in ROLE_OF:
            self._access.check(path, metadata)
        if path == SEARCH and (error := self._overload()) is not None:
            raise error

    def _wrap(self, path: str, handler: Handler) -> Handler:
        # The method is in the attribute for its kind; the others are None.
        method: Any = handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
        decode, encode = handler.request_deserializer or bytes, handler.response_serializer or bytes
        metrics = self._metrics.calls.get(path)

        async def answer(_: Any, context: Any) -> bytes:
            async with Call(self, path, context, metrics) as call:
                request = _messages(context, decode) if handler.request_streaming else await _message(context, decode)
                return call.share.hold(self._bounded(encode(await method(request, context))))

        async def answer_with_stream(_: Any, context: Any) -> None:
            async with Call(self, path, context, metrics) as call:
                request = _messages(context, decode) if handler.request_streaming else await _message(context, decode)
                async with contextlib.aclosing(method(request, context)) as responses:
                    async for response in responses:
                        await call.write(self._bounded(encode(response)))

        if handler.response_streaming:
            return grpc.stream_stream_rpc_method_handler(answer_with_stream)
        return grpc.stream_unary_rpc_method_handler(answer)

    def _bounded(self, answer: bytes) -> bytes:
        """Returns an answer; raises ResponseTooLarge if it is too large."""
        if len(answer) > self._max_response_bytes:
            raise ResponseTooLarge(self._max_response_bytes, "ask for less in one call")
        return answer


async def _message(context: Any, decode: Callable[[bytes], Any]) -> Any:
    """Returns the only message of a request."""
    message = await context.read()
    if message is grpc.aio.EOF:
        await asyncio.sleep(CANCELLATION_SECONDS)
        raise InvalidRequest([Violation("request", "has no message: send one")])
    return decode(message)


async def _messages(context: Any, decode: Callable[[bytes], Any]) -> AsyncIterator[Any]:
    """Yields the messages of a streamed request."""
    while (message := await context.read()) is not grpc.aio.EOF:
        yield decode(message)
    await asyncio.sleep(CANCELLATION_SECONDS)


async def _refuse_unknown_method(request: bytes, context: Any) -> bytes:
    raise UnknownMethod("the server has no such method: check its name, and the server's version")


class Call:
    """One call, from the arrival of its headers to its answer. An error in its block becomes the call's status."""

    __slots__ = ("_calls", "_context", "_error", "_metrics", "_path", "_started", "_task", "_writing", "share")

    def __init__(self, calls: Calls, path: str, context: Any, metrics: CallMetrics | None) -> None:
        self._calls = calls
        self._path = path
        self._context = context
        self._metrics = metrics
        self._started = time.perf_counter()
        self._task = asyncio.current_task()
        self._error: ChajaError | None = None
        self._writing = False

    async def __aenter__(self) -> Self:
        if self._metrics is not None:
            self._metrics.start()
        try:
            self.share = self._calls.connections.enter(self._context)
            self._calls.check(self._path)
        except Exception as error:
            await self._abort(error)
        self._calls.running.add(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._calls.running.discard(self)
        del traceback  # grpc.aio keeps this frame, see `_abort`.
        if error is None:
            self._count(OK)
        elif isinstance(error, (asyncio.CancelledError, GeneratorExit)):
            if self._error is not None and not self._writing:  # During an unfinished write no status can be sent.
                await self._abort(self._error)
            remaining = self._context.time_remaining()
            self._count(DEADLINE_EXCEEDED if remaining is not None and remaining <= 0 else CANCELLED)
        elif isinstance(error, Exception) and not isinstance(error, grpc.aio.AbortError):
            await self._abort(error)
        else:
            self._count(UNKNOWN)

    async def write(self, answer: bytes) -> None:
        """Sends one answer of a stream when the client reads; raises CancelledError if the client has disconnected."""
        self._writing = True
        try:
            await self._context.write(answer)
        except grpc.aio.InternalError:  # gRPC may notice the disconnection here before it cancels the call.
            raise asyncio.CancelledError from None
        self._writing = False

    def end(self, error: ChajaError) -> None:
        """Ends the call with an error, whatever it waits for."""
        if self._task is not None:
            self._error = error
            self._task.cancel()

    async def _abort(self, error: Exception) -> None:
        refusal = refusal_of(error, self._path)
        # grpc.aio keeps the error until the next garbage collection; it must not keep the frames and their answers.
        error.__traceback__ = None
        self._count(refusal.code.value[0])
        await self._context.abort(refusal.code, refusal.message, refusal.metadata)

    def _count(self, code: int) -> None:
        if self._metrics is not None:
            self._metrics.end(code, time.perf_counter() - self._started)
