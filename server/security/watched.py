"""Detects changes of files."""

import stat
from collections.abc import Sequence
from pathlib import Path


class WatchedFiles:
    """Detects whether files have changed since the last check, by their inode, size and time of modification.

    It follows symbolic links, because Kubernetes updates a mounted secret by replacing a link. A directory changes with
    any file in it.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        self._last = self._fingerprints()

    def changed(self) -> list[Path]:
        """Returns the files that were replaced, modified or removed."""
        last, self._last = self._last, self._fingerprints()
        return [path for path, *pair in zip(self._paths, last, self._last, strict=True) if pair[0] != pair[1]]

    def missing(self) -> list[Path]:
        """Returns the files that do not exist."""
        return [path for path, each in zip(self._paths, self._fingerprints(), strict=True) if each is None]

    def _fingerprints(self) -> list[tuple[int, ...] | None]:
        return [_fingerprint(path) for path in self._paths]


def _fingerprint(path: Path) -> tuple[int, ...] | None:
    """Returns a value that changes with a file; None if it does not exist."""
    try:
        found = path.stat()
        inside = [each.stat() for each in path.rglob("*")] if stat.S_ISDIR(found.st_mode) else []
    except OSError:
        return None
    size, modified = found.st_size, found.st_mtime_ns
    for each in inside:
        size, modified = size + each.st_size, modified + each.st_mtime_ns
    return found.st_dev, found.st_ino, size, modified
