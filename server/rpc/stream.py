"""Answers the requests of a stream concurrently and in order."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, NamedTuple, TypeVar

from chaja.v1 import SearchError, SearchRequest, SearchStreamResponse
from server.errors import Overloaded
from server.rpc.errors import refusal_of
from server.rpc.wire import embedded

WINDOW_REQUESTS = 32
"""Maximum requests of a stream that are read but not answered. At the limit, gRPC makes the sender wait."""

OK = 0
"""The number of gRPC's code OK."""

Searched = TypeVar("Searched")


class StreamAnswer(NamedTuple):
    """The number of an answer's gRPC code, the serialized `SearchStreamResponse`, and the reason of its error."""

    code: int
    message: bytes
    reason: str | None = None


async def answer_in_order(
    requests: AsyncIterator[SearchRequest],
    search: Callable[[SearchRequest], Coroutine[Any, Any, Searched]],
    build: Callable[[Searched], Awaitable[bytes]],
) -> AsyncGenerator[StreamAnswer, None]:
    """Yields the answer to each request, or the error in its place. `build` returns a serialized `SearchResponse`.

    The searches run concurrently. An answer is built only when the client is ready for it, so that a stream never holds
    more than one answer, however large they are.
    """
    started: asyncio.Queue[asyncio.Task[Searched] | None] = asyncio.Queue()
    room = asyncio.Semaphore(WINDOW_REQUESTS)
    tasks: set[asyncio.Task[Searched]] = set()

    def done(task: asyncio.Task[Searched]) -> None:
        tasks.discard(task)
        if not task.cancelled():
            task.exception()  # Otherwise asyncio logs it if the client leaves before the answer.

    async def read() -> None:
        try:
            await room.acquire()  # Before a request is read, not after it.
            async for request in requests:
                task = asyncio.create_task(search(request))
                tasks.add(task)
                task.add_done_callback(done)
                started.put_nowait(task)
                await room.acquire()
        finally:
            started.put_nowait(None)

    reading = asyncio.create_task(read())
    try:
        while (task := await started.get()) is not None:
            yield await _answer(task, build)
            room.release()
        await reading  # Raises its error, which ends the stream.
    finally:
        for each in (reading, *tasks):
            each.cancel()


async def _answer(searched: Awaitable[Searched], build: Callable[[Searched], Awaitable[bytes]]) -> StreamAnswer:
    try:
        return StreamAnswer(OK, embedded(SearchStreamResponse.RESPONSE_FIELD_NUMBER, await build(await searched)))
    except Exception as error:
        refusal = refusal_of(error, "a query of a stream")
        error.__traceback__ = None  # Its frames and the task would keep each other until the next garbage collection.
        message = SearchError(code=refusal.code.value[0], message=refusal.message, reason=refusal.reason)
        if isinstance(error, Overloaded):
            message.retry_delay.FromMilliseconds(error.retry_milliseconds)
        return StreamAnswer(message.code, SearchStreamResponse(error=message).SerializeToString(), message.reason)
