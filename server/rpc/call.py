"""One call, from the arrival of its headers to its answer."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc

from server.call_context import REQUEST_ID, CallContext
from server.errors import ChajaError, DeadlinePassed, InvalidRequest, NotAllowed, NotAuthenticated, Violation
from server.metrics import MethodMetrics
from server.rpc.background import Background, request_bytes
from server.rpc.connections import ConnectionShare
from server.rpc.errors import ROW_OF, refusal_of
from server.rpc.field_count import CHECKED_BYTES, check_fields
from server.rpc.gate import Gate, Metadata
from server.rpc.grpc_logs import message_was_refused
from server.rpc.interruption import Interruption
from server.rpc.observer import CallObserver
from server.rpc.refusals import reason_of

OK = grpc.StatusCode.OK.value[0]
UNKNOWN = grpc.StatusCode.UNKNOWN.value[0]
CANCELLED = grpc.StatusCode.CANCELLED.value[0]
RESOURCE_EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
DEADLINE_EXCEEDED = grpc.StatusCode.DEADLINE_EXCEEDED.value[0]

CANCELLATION_SECONDS = 0.005
"""Time to wait for the cancellation of a call, which grpc.aio reports shortly after the end of its request."""

LARGE_MESSAGE_BYTES = 64 * 1024
"""Size from which a message or an answer is large: its memory is freed early."""

Message = TypeVar("Message")


class Call:
    """One call. An error in its block becomes the call's status.

    Attributes:
        stream: Whether its requests or its answers are a stream.
        share: Its share of the bounds of its connection.
        interruption: Ends the call when it next waits for its client, or for changes.
        writing: Whether it waits until its client reads.
    """

    __slots__ = (
        "_background",
        "_call_context",
        "_context",
        "_error",
        "_gate",
        "_has_turn",
        "_large",
        "_metadata",
        "_metrics",
        "_observer",
        "_path",
        "_refused",
        "_request_bytes",
        "_response_bytes",
        "_running",
        "_started",
        "_task",
        "interruption",
        "share",
        "stream",
        "writing",
    )

    def __init__(
        self,
        gate: Gate,
        running: set["Call"],
        path: str,
        context: Any,
        *,
        metadata: Metadata,
        share: ConnectionShare,
        metrics: MethodMetrics | None,
        observer: CallObserver,
        background: Background,
        stream: bool,
    ) -> None:
        self._gate = gate
        self._running = running
        self._path = path
        self._context = context
        self._metadata = metadata
        self._metrics = metrics
        self._observer = observer
        self._call_context = CallContext.of(path, metadata)
        self._request_bytes = self._response_bytes = 0
        self._background = background
        self._started = time.perf_counter()
        self._task = asyncio.current_task()
        self._error: ChajaError | None = None
        self._refused = False
        self.stream = stream
        self.share = share
        self.interruption = Interruption()
        self.writing = False
        self._large = False
        self._has_turn = False

    async def __aenter__(self) -> Self:
        if self._metrics is not None:
            self._metrics.start()
        self._call_context.make_current()
        self._context.set_trailing_metadata(((REQUEST_ID, self._call_context.request_id),))
        try:
            self._gate.check(self._path, self._metadata, self.share)
        except Exception as error:
            await self._abort(error)
        if self._metrics is not None:
            self._observer.began(self._call_context)
        self.interruption.make_current()
        self._running.add(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._running.discard(self)
        self._end_turn()
        if self._large:
            self._gate.free_memory_soon()
        del traceback  # grpc.aio keeps this frame, see `_abort`.
        if error is None:
            self._count(OK)
        elif isinstance(error, (asyncio.CancelledError, GeneratorExit)):
            if self._error is not None and not self.writing:  # During an unfinished write no status can be sent.
                await self._abort(self._error)
            remaining = self._context.time_remaining()
            if remaining is not None and remaining <= 0:
                self._count(DEADLINE_EXCEEDED, reason=ROW_OF[DeadlinePassed].reason)
            else:
                self._count(CANCELLED)
        elif isinstance(error, Exception) and not isinstance(error, grpc.aio.AbortError):
            await self._abort(error)
        else:
            self._count(UNKNOWN)

    def note_size(self, size_bytes: int) -> None:
        """Takes the size of a message or an answer, so that the memory of large ones is freed early."""
        if size_bytes >= LARGE_MESSAGE_BYTES:
            self._large = True
            self._gate.free_memory_soon()

    def note_answer(self, size_bytes: int) -> None:
        """Takes the size of an answer; as `note_size`."""
        self._response_bytes += size_bytes
        if self._metrics is not None:
            self._metrics.answer(size_bytes)
        self.note_size(size_bytes)

    async def message(self, decode: Callable[[bytes], Message]) -> Message:
        """Returns the only message of a request."""
        message = await self._read()
        if message is None:
            raise InvalidRequest([Violation("request", "has no message: send one")])
        return await self._decoded(message, decode)

    async def messages(self, decode: Callable[[bytes], Message]) -> AsyncIterator[Message]:
        """Yields the messages of a streamed request; raises an error once the caller has lost its access."""
        while (message := await self._read()) is not None:
            self._gate.check_caller(self._path, self._metadata)
            yield await self._decoded(message, decode)

    async def _decoded(self, message: bytes, decode: Callable[[bytes], Message]) -> Message:
        request_bytes.set(len(message))
        if len(message) >= CHECKED_BYTES:
            self._has_turn = await self.share.connection.large.acquire()
            descriptor = getattr(getattr(decode, "__self__", None), "DESCRIPTOR", None)
            if descriptor is not None:
                await self._background.run(partial(check_fields, message, descriptor))
        return decode(message)

    async def write(self, answer: bytes) -> None:
        """Sends one answer of a stream when the client reads; raises CancelledError if the client has disconnected."""
        self._gate.check_caller(self._path, self._metadata)
        self.note_answer(len(answer))
        self._end_turn()
        self.writing = True
        try:
            await self._context.write(answer)
        except grpc.aio.InternalError:  # gRPC may notice the disconnection here before it cancels the call.
            raise asyncio.CancelledError from None
        self.writing = False

    def lost_access(self) -> NotAuthenticated | NotAllowed | None:
        """Returns the error with which the call must end if its caller has lost its access."""
        try:
            self._gate.check_caller(self._path, self._metadata)
        except (NotAuthenticated, NotAllowed) as error:
            return error
        return None

    def end(self, error: ChajaError) -> None:
        """Ends the call with an error, whatever it waits for, unless it has ended."""
        if self._task is not None and self in self._running:
            self._error = error
            self._task.cancel()

    async def _read(self) -> bytes | None:
        """Returns the next message, or None at the end of the request; raises the error of `interruption`."""
        self._end_turn()
        message: Any = await self.interruption.result(self._context.read)
        if message is not grpc.aio.EOF:
            self._request_bytes += len(message)
            self.note_size(len(message))
            return bytes(message)
        if message_was_refused():
            self._refused = True
            self._gate.refused("message_too_large", self._path, self._metadata, peer=self._context.peer())
        await asyncio.sleep(CANCELLATION_SECONDS)
        return None

    def _end_turn(self) -> None:
        """Lets another call of the connection work on a large message."""
        if self._has_turn:
            self._has_turn = False
            self.share.connection.large.release()

    async def _abort(self, error: Exception) -> None:
        refusal = refusal_of(error, self._path)
        # grpc.aio keeps the error until the next garbage collection; it must not keep the frames and their answers.
        error.__traceback__ = None
        self._count(refusal.code.value[0], reason=refusal.reason)
        if (reason := reason_of(error)) is not None:
            self._gate.refused(reason, self._path, self._metadata, peer=self._context.peer())
        request_id = (REQUEST_ID, self._call_context.request_id)
        await self._context.abort(refusal.code, refusal.message, (*refusal.metadata, request_id))

    def _count(self, code: int, *, reason: str | None = None) -> None:
        if self._metrics is None:
            return
        if self._refused:  # gRPC has sent this status.
            code, reason = RESOURCE_EXHAUSTED, None
        seconds = time.perf_counter() - self._started
        self._metrics.end(code, seconds, reason=reason, exemplar=self._call_context.exemplar)
        self._observer.ended(
            self._call_context,
            code=code,
            reason=reason or "",
            seconds=seconds,
            request_bytes=self._request_bytes,
            response_bytes=self._response_bytes,
            caller=partial(self._gate.name_of, self._metadata),
            context=self._context,
        )
