"""Reads large requests in a thread, so that the event loop answers other calls meanwhile."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import TypeVar

LARGE_BYTES = 16 * 1024
"""Size from which a request is large. Reading a smaller one takes less than a millisecond."""

request_bytes: ContextVar[int] = ContextVar("request_bytes", default=0)
"""Size of the message that the running task has received last. To ask the message would encode it again."""

T = TypeVar("T")


class RequestReader:
    """Reads requests, large ones one after another."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="requests")

    async def read(self, read: Callable[[], T]) -> T:
        """Returns what `read` returns, which reads the running task's request or builds its results."""
        if request_bytes.get() < LARGE_BYTES:
            return read()
        return await asyncio.get_running_loop().run_in_executor(self._executor, read)
