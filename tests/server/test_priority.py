import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from server.priority import give_way


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has priorities of threads")
def test_only_the_calling_thread_gets_a_lower_priority() -> None:
    before = own_niceness()
    with ThreadPoolExecutor(1, initializer=give_way, initargs=(5,)) as pool:
        assert pool.submit(own_niceness).result() == 5
    assert own_niceness() == before


def own_niceness() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
