"""Runs the long work of calls in a thread, so that the event loop answers other calls meanwhile."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import TypeVar

from server.priority import CALL_NICENESS, give_way

LARGE_REQUEST_BYTES = 16 * 1024
"""Size from which a request is large. Reading a smaller one takes less than a millisecond."""

request_bytes: ContextVar[int] = ContextVar("request_bytes", default=0)
"""Size of the message that the running task has received last. To ask the message would encode it again."""

T = TypeVar("T")


class Background:
    """One thread for work of calls that holds the GIL for long: large requests, pages, and the hits of bulk calls.

    With more threads the work would not end sooner, but the event loop would get the GIL less often.
    """

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(1, "background", initializer=give_way, initargs=(CALL_NICENESS,))

    async def run(self, work: Callable[[], T]) -> T:
        """Returns the result of work."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)

    async def run_if_large(self, work: Callable[[], T], *, long: bool = False, remote: bool = False) -> T:
        """Returns the result of work, which takes long only if it is `long`, or the running task's request is large.

        Work that is `remote` waits for other processes, each in a separate thread.
        """
        if remote:
            return await asyncio.to_thread(work)
        return await self.run(work) if long or request_bytes.get() >= LARGE_REQUEST_BYTES else work()
