"""Memory that was freed goes back to the system.

The C library keeps what was freed, in one pool (arena) for each of several threads: after a model was replaced, its
place would stay taken in the pool of whichever thread had loaded it, and the next one would come on top.
"""

import contextlib
import ctypes
import sys


def return_freed_memory() -> None:
    """Gives what was freed back to the system, where the C library can (glibc). Blocks for some 30 ms, without the GIL.

    Threads that allocate meanwhile wait for one pool at a time.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # Another C library, such as musl, has no such function.
            ctypes.CDLL(None).malloc_trim(0)
