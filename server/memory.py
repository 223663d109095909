"""Returns freed memory to the system, and collects garbage after large calls.

The C library keeps freed memory in pools (arenas), each for some of the threads. After a reload, the old model's memory
would stay in the pool of the thread that loaded it, and the next model would need additional memory. So does the memory
of large requests. Fewer pools hold less, but threads wait for each other: with one pool for each core, throughput fell
by a sixth.
"""

import asyncio
import contextlib
import ctypes
import gc
import os
import sys
from collections.abc import Callable

MALLOPT = {
    "MALLOC_MMAP_THRESHOLD_": (-3, 2**25),  # The size above which memory does not come from a pool.
    "MALLOC_ARENA_MAX": (-8, 2 * (os.cpu_count() or 1)),  # The number of pools; by default four times as many.
    "MALLOC_TRIM_THRESHOLD_": (-1, 2**28),  # The free memory at the end of a pool above which it is returned at once.
}
"""The parameters of glibc's mallopt (malloc.h) that differ from its defaults, by the variable that overrides them.

New memory is slow, as the system has to clear each page, and on a virtual machine maybe to ask its host for it. With
the defaults, every array above 128 KiB would be new memory.
"""

COLLECT_SECONDS = 1.0
"""Time from a call with large headers to the collection."""

KEEP_SECONDS = 5.0
"""Time from a large message to the return of memory. Until then it serves the next large message, which is faster."""


def keep_large_memory() -> None:
    """Makes the C library use the memory of large arrays again. Call it before the first thread starts."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # As in `return_freed_memory`.
            library = ctypes.CDLL(None)
            for variable, (parameter, value) in MALLOPT.items():
                if variable not in os.environ:
                    library.mallopt(parameter, value)


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
        self._due: set[Callable[[], object]] = set()

    def collect_soon(self) -> None:
        """Collects garbage after `COLLECT_SECONDS` and returns memory to the system, once for all calls until then."""
        self._soon(self._collect, COLLECT_SECONDS)

    def return_soon(self) -> None:
        """Returns memory to the system after `KEEP_SECONDS`, once for all calls until then."""
        self._soon(_return, KEEP_SECONDS)

    def _soon(self, act: Callable[[], object], seconds: float) -> None:
        if act not in self._due:
            self._due.add(act)
            asyncio.get_running_loop().call_later(seconds, self._act, act)

    def _act(self, act: Callable[[], object]) -> None:
        self._due.discard(act)
        act()

    @staticmethod
    def _collect() -> None:
        gc.collect()
        _return()


def _return() -> None:
    asyncio.get_running_loop().run_in_executor(None, return_freed_memory)
