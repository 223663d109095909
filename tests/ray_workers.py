"""Finds the processes of a command that runs Ray on this machine, so that a test may kill one."""

import contextlib
import os
import signal
import time
from pathlib import Path

ENCODER = "Encoder"
"""A part of the title that Ray gives to the process of an encoder."""

WAIT_SECONDS = 120.0


def kill_encoder(command: int) -> int:
    """Kills an encoder below the process of a command with SIGKILL, once there is one; returns its process id."""
    until = time.monotonic() + WAIT_SECONDS
    while not (found := encoders_of(command)):
        assert time.monotonic() < until, "there is no encoder"
        time.sleep(0.1)
    os.kill(found[0], signal.SIGKILL)
    return found[0]


def encoders_of(command: int) -> list[int]:
    """Returns the process ids of the encoders below a process."""
    return workers_of(command, ENCODER)


def workers_of(command: int, part: str) -> list[int]:
    """Returns the process ids of Ray's workers below a process with a part in their titles."""
    return processes_of(command, part, start="ray::")


def processes_of(command: int, part: str, *, start: str = "") -> list[int]:
    """Returns the process ids below a process with a part and a start of their titles."""
    return [
        pid
        for pid, title in _titles().items()
        if title.startswith(start) and part in title and command in _ancestors(pid)
    ]


def _titles() -> dict[int, str]:
    found = {}
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found[int(path.parent.name)] = path.read_bytes().decode(errors="replace")
    return found


def _ancestors(pid: int) -> set[int]:
    found: set[int] = set()
    with contextlib.suppress(OSError):
        while pid > 1:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
            found.add(pid)
    return found
