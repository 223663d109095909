"""Makes a bundle's bytes independent of the number of threads."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


@contextlib.contextmanager
def one_thread_each() -> Iterator[None]:
    """Lets NumPy's and torch's products use one thread inside the block.

    With more threads they add the same numbers in another order. Vectors then differ in their last bits, and rounding
    makes other weights of that.
    """
    import torch
    from threadpoolctl import threadpool_limits

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(threads)
