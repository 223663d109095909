"""Resources that a process has used, read from Linux's /proc."""

import contextlib
import os
import time
from dataclasses import dataclass
from pathlib import Path

TICK_SECONDS = 1 / os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
PROC = Path("/proc")


@dataclass(frozen=True)
class Use:
    """Resources used until one point in time.

    Attributes:
        seconds: The time, by the monotonic clock.
        cpu_seconds: CPU time of the process, including ended threads.
        memory_bytes: Its resident memory.
        descriptors: Its open files and sockets.
        threads: Its running threads.
        machine_seconds: CPU time of every process on the machine.
        own_seconds: CPU time of the calling process: the load tester's coordinator.
    """

    seconds: float
    cpu_seconds: float
    memory_bytes: int
    descriptors: int
    threads: int
    machine_seconds: float
    own_seconds: float


def use_of(pid: int) -> Use:
    """Returns the resources that a process has used so far."""
    folder = PROC / str(pid)
    # The fields after the name, which may contain spaces and brackets.
    fields = (folder / "stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    return Use(
        seconds=time.monotonic(),
        cpu_seconds=(int(fields[11]) + int(fields[12])) * TICK_SECONDS,
        memory_bytes=memory_of(pid),
        descriptors=len(list((folder / "fd").iterdir())),
        threads=int(fields[17]),
        machine_seconds=_machine_seconds(),
        own_seconds=time.process_time(),
    )


def memory_of(pid: int) -> int:
    """Returns the resident memory of a process in bytes."""
    return int((PROC / str(pid) / "statm").read_text(encoding="ascii").split()[1]) * PAGE_BYTES


def memory_with_children(pid: int) -> int:
    """Returns the resident memory of a process and the processes that it has started, in bytes."""
    children = []
    for task in (PROC / str(pid) / "task").iterdir():
        with contextlib.suppress(OSError):  # A thread may end at any time.
            children += [int(child) for child in (task / "children").read_text(encoding="ascii").split()]
    total = memory_of(pid)
    for child in children:
        with contextlib.suppress(OSError):
            total += memory_of(child)
    return total


def _machine_seconds() -> float:
    """Returns the CPU time used on all cores, from /proc/stat. User and nice include the guest columns."""
    fields = [int(field) for field in (PROC / "stat").read_text(encoding="ascii").split("\n")[0].split()[1:]]
    user, nice, system, _idle, _waiting, *rest = fields
    return (user + nice + system + sum(rest[:3])) * TICK_SECONDS
