import os
import sys
import threading

import pytest

from server.priority import give_way


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has priorities of threads")
def test_only_the_calling_thread_gets_a_lower_priority() -> None:
    seen: dict[str, int] = {}

    def work() -> None:
        give_way(5)
        seen["thread"] = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    before = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen["thread"] == 5
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == before
