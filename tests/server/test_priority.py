import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from sample.server_process import REPOSITORY
from server.priority import give_way


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has priorities of threads")
def test_only_the_calling_thread_gets_a_lower_priority() -> None:
    before = own_niceness()
    with ThreadPoolExecutor(1, initializer=give_way, initargs=(5,)) as pool:
        assert pool.submit(own_niceness).result() == 5
    assert own_niceness() == before


NICER = """
import os, threading
from server.priority import give_way
os.nice(11)
if os.getuid() == 0:
    os.setuid(65534)  # Root may raise its priority again.
give_way(10)
print(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has priorities of threads")
def test_a_process_that_is_nicer_already_keeps_its_priority() -> None:
    run = subprocess.run([sys.executable, "-c", NICER], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert run.stdout == "11\n", run.stderr


def own_niceness() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
