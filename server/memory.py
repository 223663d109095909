"""Returns freed memory to the system.

The C library keeps freed memory in pools (arenas), each for some of the threads. After a reload, the old model's memory
would stay in the pool of the thread that loaded it, and the next model would need additional memory.
"""

import contextlib
import ctypes
import sys


def return_freed_memory() -> None:
    """Returns freed memory to the system, if the C library is glibc. Blocks without the GIL."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # Other C libraries, such as musl, have no such function.
            ctypes.CDLL(None).malloc_trim(0)
