"""What a process holds: memory and sockets (Linux)."""

import contextlib
import time
from pathlib import Path

MEGABYTE = 1_000_000


def resident_bytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return 1024 * next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))


def open_sockets(pid: int) -> int:
    """Counts connections and what listens: files may be opened for good by the first who needs them."""
    count = 0
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # It was closed meanwhile.
            count += str(descriptor.readlink()).startswith("socket:")
    return count


def wait_for_open_sockets(pid: int, most: int, *, seconds: float = 20.0) -> None:
    ends = time.monotonic() + seconds
    while open_sockets(pid) > most:
        assert time.monotonic() < ends, f"{open_sockets(pid)} sockets are open"
        time.sleep(0.02)
