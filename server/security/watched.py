"""Files that are read again when they change."""

import stat
from collections.abc import Sequence
from pathlib import Path

Fingerprint = tuple[tuple[int, int, int, int] | None, ...]


class WatchedFiles:
    """Tells whether files have changed since it was last asked, by what the system knows of them.

    Kubernetes replaces the link that a mounted secret stands behind: the files are followed through it. A directory
    changes with any file in it.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        self._last = self.fingerprint()

    def changed(self) -> bool:
        """Whether one of the files is another one, or has other contents."""
        last, self._last = self._last, self.fingerprint()
        return last != self._last

    def fingerprint(self) -> Fingerprint:
        """Returns what changes when a file does; None for a file that is not there."""
        return tuple(_fingerprint(path) for path in self._paths)


def _fingerprint(path: Path) -> tuple[int, int, int, int] | None:
    try:
        found = path.stat()
        inside = [each.stat() for each in path.rglob("*")] if stat.S_ISDIR(found.st_mode) else []
    except OSError:
        return None
    size, modified = found.st_size, found.st_mtime_ns
    for each in inside:
        size, modified = size + each.st_size, modified + each.st_mtime_ns
    return found.st_dev, found.st_ino, size, modified
