"""What a process holds: memory and file descriptors (Linux)."""

from __future__ import annotations

import time
from pathlib import Path

MEGABYTE = 1_000_000


def resident_bytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return 1024 * next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))


def open_files(pid: int) -> int:
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def wait_for_open_files(pid: int, most: int, *, seconds: float = 20.0) -> None:
    ends = time.monotonic() + seconds
    while open_files(pid) > most:
        assert time.monotonic() < ends, f"{open_files(pid)} files are open"
        time.sleep(0.02)
