"""Calls of this server's methods from inside the process, as if they came over gRPC.

They pass the same checks of tokens, limits and load, have the same deadline and metrics, and end when the server stops.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from typing import Any, NamedTuple

import grpc
from google.rpc import error_details_pb2, status_pb2

from server.errors import DeadlinePassed
from server.rpc.calls import Calls
from server.rpc.errors import ROW_OF
from server.rpc.gate import Metadata

STATUS_KEY = "grpc-status-details-bin"


class CallFailed(Exception):
    """A call that ended with an error, as its caller gets it. `retry_seconds` is set if the server is overloaded.

    `trailers` are those with which a gRPC server would send it.
    """

    def __init__(
        self,
        code: grpc.StatusCode,
        reason: str,
        message: str,
        retry_seconds: float | None = None,
        *,
        trailers: Metadata = (),
    ) -> None:
        super().__init__(message)
        self.code, self.reason, self.retry_seconds, self.trailers = code, reason, retry_seconds, trailers


class LocalCalls:
    """Makes the calls. Used on the event loop of the server."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def call(
        self,
        method: str,
        message: bytes,
        *,
        metadata: Metadata,
        peer: str,
        seconds: float,
        on_trailers: Callable[[Metadata], object] | None = None,
    ) -> bytes:
        """Returns the serialized answer of a unary method to a serialized message; raises CallFailed.

        `method` is a path such as `/chaja.v1.SearchService/Search`, `peer` names the caller, `seconds` is its deadline.
        `on_trailers` takes the trailers with which a gRPC server would send the answer.
        """
        details: Any = _Details(method, tuple(metadata))
        handler: Any = self._calls.service(details)
        context = _Context(message, peer=peer, seconds=seconds, on_trailers=on_trailers)
        try:
            async with asyncio.timeout(seconds):
                answer: bytes = await handler.stream_unary(None, context)
                return answer
        except grpc.aio.AbortError:
            assert context.failure is not None, "abort sets it"
            raise context.failure from None
        except TimeoutError:
            row, error = ROW_OF[DeadlinePassed], DeadlinePassed()
            raise CallFailed(row.code, row.reason, str(error)) from None
        finally:
            context.end()

    async def stream(
        self, method: str, message: bytes, *, metadata: Metadata, peer: str, seconds: float
    ) -> AsyncGenerator[bytes, None]:
        """Yields the serialized answers of a method that answers with a stream; otherwise as `call`."""
        details: Any = _Details(method, tuple(metadata))
        handler: Any = self._calls.service(details)
        context = _Context(message, peer=peer, seconds=seconds)
        answering = asyncio.create_task(handler.stream_stream(None, context))
        try:
            while (answer := await context.next_answer(answering)) is not None:
                yield answer
            await answering
        except grpc.aio.AbortError:
            assert context.failure is not None, "abort sets it"
            raise context.failure from None
        except TimeoutError:
            row, error = ROW_OF[DeadlinePassed], DeadlinePassed()
            raise CallFailed(row.code, row.reason, str(error)) from None
        finally:
            answering.cancel()
            await asyncio.wait([answering])
            context.end()


class _Details(NamedTuple):
    """The method and the metadata of a call, with the names of `grpc.HandlerCallDetails`."""

    method: str
    invocation_metadata: Metadata


class _Context:
    """The part of `grpc.aio.ServicerContext` that `Call` and the methods use."""

    def __init__(
        self,
        message: bytes,
        *,
        peer: str,
        seconds: float,
        on_trailers: Callable[[Metadata], object] | None = None,
    ) -> None:
        self._on_trailers = on_trailers
        self._unread = [message]
        self._peer = peer
        self._deadline = time.monotonic() + seconds
        self._on_done: list[Callable[[Any], object]] = []
        self._answers: asyncio.Queue[bytes] = asyncio.Queue(maxsize=1)
        self.failure: CallFailed | None = None

    def peer(self) -> str:
        return self._peer

    def time_remaining(self) -> float:
        return max(0.0, self._deadline - time.monotonic())

    async def read(self) -> object:
        return self._unread.pop() if self._unread else grpc.aio.EOF

    async def write(self, answer: bytes) -> None:
        """Returns when the answer before this one has been taken."""
        await self._answers.put(answer)

    async def next_answer(self, answering: asyncio.Task[None]) -> bytes | None:
        """Returns the next answer of a stream, or None once their task has ended; raises TimeoutError."""
        taking = asyncio.create_task(self._answers.get())
        try:
            ends = [taking, answering]
            done, _ = await asyncio.wait(ends, timeout=self.time_remaining(), return_when=asyncio.FIRST_COMPLETED)
            if not done:
                raise TimeoutError
            if taking in done:
                return taking.result()
        finally:
            taking.cancel()
        return None if self._answers.empty() else self._answers.get_nowait()

    async def abort(self, code: grpc.StatusCode, details: str = "", trailing_metadata: Any = ()) -> None:
        self.failure = _failure(code, details, tuple(trailing_metadata))
        raise grpc.aio.AbortError

    def set_trailing_metadata(self, trailing_metadata: Any) -> None:
        if self._on_trailers is not None:
            self._on_trailers(tuple(trailing_metadata))

    def add_done_callback(self, callback: Callable[[Any], object]) -> None:
        self._on_done.append(callback)

    def end(self) -> None:
        for callback in self._on_done:
            callback(self)


def _failure(code: grpc.StatusCode, message: str, trailers: Any) -> CallFailed:
    status = status_pb2.Status.FromString(dict(trailers).get(STATUS_KEY, b""))
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    retry_seconds = None
    for each in status.details:
        if each.Unpack(retry):
            retry_seconds = retry.retry_delay.ToTimedelta().total_seconds()
        else:
            each.Unpack(info)
    return CallFailed(code, info.reason, message, retry_seconds, trailers=trailers)
