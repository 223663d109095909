"""What a process has taken of the machine so far, as Linux tells it in /proc."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

TICK_SECONDS = 1 / os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
PROC = Path("/proc")


@dataclass(frozen=True)
class Use:
    """What was taken until a moment.

    Attributes:
        seconds: The moment, by the monotonic clock.
        cpu_seconds: CPU of the process, in user and system mode; of its threads that have ended, too.
        memory_bytes: Its resident memory.
        descriptors: Its open files and sockets.
        threads: CPU of each living thread by its id; the id of the main thread is that of the process.
        machine_seconds: CPU that anybody took on the whole machine.
        own_seconds: CPU of the process that asks: the load tester's coordinator.
    """

    seconds: float
    cpu_seconds: float
    memory_bytes: int
    descriptors: int
    threads: dict[int, float]
    machine_seconds: float
    own_seconds: float


def use_of(pid: int) -> Use:
    """Returns what a process has taken until now."""
    folder = PROC / str(pid)
    # The fields after the name, which may hold blanks and brackets of its own.
    fields = (folder / "stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    return Use(
        seconds=time.monotonic(),
        cpu_seconds=(int(fields[11]) + int(fields[12])) * TICK_SECONDS,
        memory_bytes=memory_of(pid),
        descriptors=len(list((folder / "fd").iterdir())),
        threads=_threads(folder),
        machine_seconds=_machine_seconds(),
        own_seconds=time.process_time(),
    )


def memory_of(pid: int) -> int:
    """Returns the resident memory of a process in bytes."""
    return int((PROC / str(pid) / "statm").read_text(encoding="ascii").split()[1]) * PAGE_BYTES


def _threads(folder: Path) -> dict[int, float]:
    """Returns the CPU of each thread: by the scheduler's own books, which are finer than the ticks of `stat`."""
    found = {}
    for task in (folder / "task").iterdir():
        try:
            found[int(task.name)] = int((task / "schedstat").read_text(encoding="ascii").split()[0]) / 1e9
        except (OSError, IndexError):  # It has ended meanwhile, or the kernel keeps no such books.
            continue
    return found


def _machine_seconds() -> float:
    """Returns the CPU that was taken on all cores: all that the first line of /proc/stat has but idling."""
    fields = [int(field) for field in (PROC / "stat").read_text(encoding="ascii").split("\n")[0].split()[1:]]
    user, nice, system, _idle, _waiting, *rest = fields
    return (user + nice + system + sum(rest[:3])) * TICK_SECONDS
