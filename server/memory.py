"""Returns freed memory to the system, and collects garbage after large calls.

The C library keeps freed memory in pools (arenas), each for some of the threads. After a reload, the old model's memory
would stay in the pool of the thread that loaded it, and the next model would need additional memory.
"""

import asyncio
import contextlib
import ctypes
import gc
import sys

COLLECT_SECONDS = 1.0
"""Minimum time between two collections after large calls."""


def return_freed_memory() -> None:
    """Returns freed memory to the system, if the C library is glibc. Blocks without the GIL."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # Other C libraries, such as musl, have no such function.
            ctypes.CDLL(None).malloc_trim(0)


class Garbage:
    """Frees the memory of large calls. Used on the event loop only.

    grpcio keeps each call's headers in a reference cycle (`_find_method_handler`), which Python would free much later.
    """

    def __init__(self) -> None:
        self._due = False

    def collect_soon(self) -> None:
        """Collects garbage after `COLLECT_SECONDS` and returns memory to the system, once for all calls until then."""
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_later(COLLECT_SECONDS, self._collect)

    def _collect(self) -> None:
        self._due = False
        gc.collect()
        asyncio.get_running_loop().run_in_executor(None, return_freed_memory)
