import asyncio
import gc
import platform
import subprocess
import sys
import weakref

import pytest

from sample.server_process import REPOSITORY
from server import memory

PROGRAM = """
import os, threading
from pathlib import Path
from server.memory import return_freed_memory

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

blocks = []
def allocate():
    blocks.extend(bytearray(50_000) for _ in range(2000))
    blocks.append(bytes(50_000))  # It stays above the freed blocks: without it, free() would return them.

thread = threading.Thread(target=allocate)
thread.start()
thread.join()
del blocks[:-1]
before = resident()
return_freed_memory()
print(before - resident())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has malloc_trim")
def test_memory_freed_by_a_thread_is_returned() -> None:
    run = subprocess.run([sys.executable, "-c", PROGRAM], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert int(run.stdout) > 90e6


async def test_reference_cycles_of_large_calls_are_freed_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "COLLECT_SECONDS", 0.01)
    cycle = type("Cycle", (), {})  # A class refers to itself.
    freed = weakref.ref(cycle)
    del cycle
    gc.disable()
    try:
        garbage = memory.Garbage()
        for _ in range(2):
            garbage.collect_soon()
        await asyncio.sleep(0.2)
    finally:
        gc.enable()
    assert freed() is None
