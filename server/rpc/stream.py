"""Answers the requests of a stream concurrently and in order."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

from chaja.v1 import SearchError, SearchRequest, SearchResponse, SearchStreamResponse
from server.errors import Overloaded
from server.rpc.errors import refusal_of

WINDOW_REQUESTS = 32
"""Maximum requests of a stream that are read but not answered. At the limit, gRPC makes the sender wait."""

Answer = Callable[[SearchRequest], Awaitable[SearchResponse]]


async def answer_in_order(
    requests: AsyncIterator[SearchRequest], answer: Answer
) -> AsyncGenerator[SearchStreamResponse, None]:
    """Yields the answer to each request, or the error in its place."""
    started: asyncio.Queue[asyncio.Task[SearchStreamResponse] | None] = asyncio.Queue()
    room = asyncio.Semaphore(WINDOW_REQUESTS)
    tasks: set[asyncio.Task[SearchStreamResponse]] = set()

    async def read() -> None:
        try:
            await room.acquire()  # Before a request is read, not after it.
            async for request in requests:
                task = asyncio.create_task(_answer(request, answer))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
                started.put_nowait(task)
                await room.acquire()
        finally:
            started.put_nowait(None)

    reading = asyncio.create_task(read())
    try:
        while (task := await started.get()) is not None:
            yield await task
            room.release()
        await reading  # Raises its error, which ends the stream.
    finally:
        for each in (reading, *tasks):
            each.cancel()


async def _answer(request: SearchRequest, answer: Answer) -> SearchStreamResponse:
    try:
        return SearchStreamResponse(response=await answer(request))
    except Exception as error:
        refusal = refusal_of(error, "a query of a stream")
        message = SearchError(code=refusal.code.value[0], message=refusal.message, reason=refusal.reason)
        if isinstance(error, Overloaded):
            message.retry_delay.FromMilliseconds(error.retry_milliseconds)
        return SearchStreamResponse(error=message)
