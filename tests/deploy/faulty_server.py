"""The real server with faults: `python -m tests.deploy.faulty_server`.

SIGUSR1 blocks the event loop for a while. After SIGUSR2, changes are committed, but searches never see them. If there
is a graph, it misses half of the vectors that it should find. With the variable NEVER_LOADS, it never finishes loading.
"""

import os
import signal
import sys
import threading
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from server import reloading
from server.__main__ import main
from server.live.index import LiveIndex
from server.vectors.graph import Graph

MODULE = "tests.deploy.faulty_server"
BLOCKED_SECONDS = 0.3
NEVER_LOADS = "NEVER_LOADS"

stalled = threading.Event()
follow, search = LiveIndex.follow, Graph.search


def follow_or_stall(index: LiveIndex, *arguments: Any, **options: Any) -> None:
    if stalled.is_set():
        threading.Event().wait()
    follow(index, *arguments, **options)


def miss_half(graph: Graph, row: NDArray[Any], count: int, ef_search: int) -> NDArray[np.int64]:
    return search(graph, row, count, ef_search)[::2]


def load_forever(*_: Any, **__: Any) -> None:
    threading.Event().wait()


if __name__ == "__main__":
    if NEVER_LOADS in os.environ:
        setattr(reloading, "load", load_forever)  # noqa: B010  mypy forbids the assignment
    setattr(LiveIndex, "follow", follow_or_stall)  # noqa: B010
    setattr(Graph, "search", miss_half)  # noqa: B010
    signal.signal(signal.SIGUSR1, lambda *_: time.sleep(BLOCKED_SECONDS))
    signal.signal(signal.SIGUSR2, lambda *_: stalled.set())
    sys.exit(main())
