"""Memory and sockets of a process (Linux)."""

import contextlib
from pathlib import Path

from server.rpc.grpc_server import KEEPALIVE_SECONDS, KEEPALIVE_TIMEOUT_SECONDS
from tests.integration.serving import wait_until

MEGABYTE = 1_000_000

DETECTION_SECONDS = 2.0 * (KEEPALIVE_SECONDS + KEEPALIVE_TIMEOUT_SECONDS)
"""Time for gRPC to detect a client that disappeared, with a reserve."""


def resident_bytes(pid: int, *, peak: bool = False) -> int:
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    name = "VmHWM:" if peak else "VmRSS:"
    return 1024 * next(int(line.split()[1]) for line in status.splitlines() if line.startswith(name))


def open_sockets(pid: int) -> int:
    """Counts sockets, including listening ones. Files are not counted, because a process may keep them open."""
    count = 0
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # It has been closed.
            count += str(descriptor.readlink()).startswith("socket:")
    return count


def wait_for_open_sockets(pid: int, most: int) -> None:
    """Waits until at most `most` sockets are open; gives gRPC the time to detect a client that disappeared."""
    wait_until(lambda: open_sockets(pid) <= most, seconds=DETECTION_SECONDS)
