"""Reads large requests in a thread, so that the event loop answers other calls meanwhile."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from google.protobuf.message import Message

LARGE_BYTES = 16 * 1024
"""Size from which a request is large. Reading a smaller one takes less than a millisecond."""

T = TypeVar("T")


class RequestReader:
    """Reads requests, large ones one after another."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="requests")

    async def read(self, request: Message, read: Callable[[], T]) -> T:
        """Returns what `read` returns for a request, which it may only read."""
        if request.ByteSize() < LARGE_BYTES:
            return read()
        return await asyncio.get_running_loop().run_in_executor(self._executor, read)
