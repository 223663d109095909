"""The free space of a file system, measured in a separate thread, because a hung disk would block the caller."""

import math
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

MEASURED_SECONDS = 10.0
"""Time between two measurements."""

KNOWN_SECONDS = 60.0
"""Age at which a measurement no longer counts."""


def free_bytes(directory: Path) -> int:
    """Returns the bytes that this process may still write. May block for as long as the disk does not answer."""
    found = os.statvfs(directory)
    return found.f_bavail * found.f_frsize


class FreeSpace:
    """Measures until the process ends."""

    def __init__(self, directory: Path, *, measure: Callable[[Path], int] = free_bytes) -> None:
        """Starts the thread. It is a daemon: a disk that hangs must not keep the process."""
        self._directory = directory
        self._measure = measure
        self._measured = (math.nan, -math.inf)
        threading.Thread(target=self._run, name="free-space", daemon=True).start()

    def bytes(self, *, now: Callable[[], float] = time.monotonic) -> float:
        """Returns the free bytes, at most KNOWN_SECONDS old; NaN if they are unknown. Does not block."""
        found, at = self._measured
        return found if now() - at <= KNOWN_SECONDS else math.nan

    def _run(self) -> None:
        while True:
            at = time.monotonic()
            try:
                self._measured = (self._measure(self._directory), at)
            except OSError:  # The directory is gone, or the disk fails.
                self._measured = (math.nan, at)
            time.sleep(MEASURED_SECONDS)
