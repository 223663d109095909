"""Wraps every method when it is registered: counts its calls, checks their tokens, and maps their errors.

The server rejects a call without a token, or a Search during overload, before it reads the call's message. So unary
methods are registered as methods that read a stream of one message. Interceptors would make grpc.aio create a new
handler for every call.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import grpc

from server.errors import ChajaError, Overloaded, ResponseTooLarge, UnknownMethod
from server.metrics import Metrics
from server.rpc.background import Background
from server.rpc.call import Call
from server.rpc.connections import Connections
from server.rpc.gate import Gate, Metadata
from server.rpc.grpc_server import Handler, Methods
from server.rpc.observer import CallObserver
from server.rpc.refusals import Refusals
from server.security.access import Access

UNKNOWN_METHOD = "/unknown/unknown"
"""The metric series of calls to unknown methods. A client chooses their names, so they must not become labels."""

_metadata: ContextVar[Metadata] = ContextVar("metadata")
"""The metadata of the task's call. `context.invocation_metadata` would decode all headers once more."""

MESSAGE_SECONDS = 1.0
"""Time for the message of a unary call to arrive once the server stops."""

ACCESS_SECONDS = 1.0
"""Interval between checks of the callers of streams, which may have lost their access."""

REVOKED_SECONDS = 2.0
"""Time for a stream whose caller has lost its access to send the answers to the requests it has read."""

POLL_SECONDS = 0.05


class Calls(Methods):
    """The methods of all services, wrapped. Health and reflection need no token and are not counted."""

    def __init__(
        self,
        metrics: Metrics,
        access: Access,
        *,
        overload: Callable[[], Overloaded | None],
        max_response_bytes: int,
        observer: CallObserver,
        refusals: Refusals,
    ) -> None:
        """Creates an empty table. `overload` returns the error that rejects every Search call now, or None.

        A larger answer than `max_response_bytes` ends its call with ResponseTooLarge. This is the last guard: a method
        whose answers may be large stops before it has built one.
        """
        super().__init__()
        self._max_response_bytes = max_response_bytes
        self._metrics = metrics
        self._observer = observer
        self._gate = Gate(access, refusals, overload=overload)
        self.connections = Connections()
        self.background = Background()
        self.running: set[Call] = set()
        self._leaving: ChajaError | None = None
        self._unknown_method = self._wrap(UNKNOWN_METHOD, grpc.unary_unary_rpc_method_handler(_refuse_unknown_method))

    def add_registered_method_handlers(self, service: str, handlers: dict[str, Handler]) -> None:
        """Wraps and adds the methods of a service."""
        wrapped = {name: self._wrap(f"/{service}/{name}", handler) for name, handler in handlers.items()}
        super().add_registered_method_handlers(service, wrapped)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Handler:
        """Returns the handler of a call's method; unknown methods share one handler."""
        _metadata.set(handler_call_details.invocation_metadata or ())
        return super().service(handler_call_details) or self._unknown_method

    async def watch_access(self) -> None:
        """Ends the streams whose callers lose their access, even if no message comes."""
        while True:
            await asyncio.sleep(ACCESS_SECONDS)
            if not self._gate.access_changed():
                continue
            for call in list(self.running):
                if call.stream and (error := call.lost_access()) is not None:
                    call.interruption.end(error)
                    asyncio.get_running_loop().call_later(REVOKED_SECONDS, call.end, error)

    def end_waiting(self, error: ChajaError) -> None:
        """Ends with an error all streams, present and future, that wait for their client or for changes.

        A unary call whose message has not arrived ends a little later.
        """
        self._leaving = error
        for call in list(self.running):
            self._end_when_waiting(call, error)

    async def until_quiet(self, *, reading_seconds: float, idle_seconds: float) -> None:
        """Returns when only clients can make progress: the server needs no longer wait for them.

        For `reading_seconds` every call has waited until its client reads, or for `idle_seconds` there was no call.
        """
        quiet_since, ended = time.monotonic(), self.connections.ended
        while True:
            await asyncio.sleep(POLL_SECONDS)
            if ended != self.connections.ended or not all(call.writing for call in self.running):
                quiet_since, ended = time.monotonic(), self.connections.ended
            if time.monotonic() - quiet_since >= (reading_seconds if self.connections.calls else idle_seconds):
                return

    def end_all(self, error: ChajaError) -> None:
        """Ends all running calls with an error."""
        for call in list(self.running):
            call.end(error)

    def _end_when_waiting(self, call: Call, error: ChajaError) -> None:
        if call.stream:
            call.interruption.end(error)
        else:
            asyncio.get_running_loop().call_later(MESSAGE_SECONDS, call.interruption.end, error)

    def _call(self, path: str, context: Any, *, stream: bool) -> Call:
        call = Call(
            self._gate,
            self.running,
            path,
            context,
            metadata=_metadata.get(),
            share=self.connections.enter(context),
            metrics=self._metrics.calls.of_method.get(path),
            observer=self._observer,
            background=self.background,
            stream=stream,
        )
        if self._leaving is not None:
            self._end_when_waiting(call, self._leaving)
        return call

    def _wrap(self, path: str, handler: Handler) -> Handler:
        # The method is in the attribute for its kind; the others are None.
        method: Any = handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
        decode, serialize = handler.request_deserializer or bytes, handler.response_serializer or bytes
        stream = handler.request_streaming or handler.response_streaming

        async def answer(_: Any, context: Any) -> bytes:
            async with self._call(path, context, stream=stream) as call:
                request = call.messages(decode) if handler.request_streaming else await call.message(decode)
                encoded = self._encoded(await method(request, context), serialize)
                call.note_answer(len(encoded))
                return call.share.hold(encoded)

        async def answer_with_stream(_: Any, context: Any) -> None:
            async with self._call(path, context, stream=stream) as call:
                request = call.messages(decode) if handler.request_streaming else await call.message(decode)
                async with contextlib.aclosing(method(request, context)) as responses:
                    async for response in responses:
                        await call.write(self._encoded(response, serialize))

        if handler.response_streaming:
            return grpc.stream_stream_rpc_method_handler(answer_with_stream)
        return grpc.stream_unary_rpc_method_handler(answer)

    def _encoded(self, response: Any, serialize: Callable[[Any], bytes]) -> bytes:
        """Returns a serialized response, which may already be bytes; raises ResponseTooLarge if it is too large."""
        answer = response if isinstance(response, bytes) else serialize(response)
        if len(answer) > self._max_response_bytes:
            raise ResponseTooLarge(self._max_response_bytes, "ask for less in one call")
        return answer


async def _refuse_unknown_method(request: bytes, context: Any) -> bytes:
    raise UnknownMethod("the server has no such method: check its name, and the server's version")
