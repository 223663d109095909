"""Durable writes and digests of files."""

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

HASHED_BYTES = 8 << 20
"""Bytes hashed at a time, without the GIL. `hashlib.file_digest` waits for the GIL after each small block."""

UNFINISHED = ".unfinished"
"""End of the name of a temporary file. SQLite may append the suffix of its journal."""


def file_digest(path: Path) -> str:
    """Returns the SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while part := file.read(HASHED_BYTES):
            digest.update(part)
    return digest.hexdigest()


def is_pipe_or_device(path: Path) -> bool:
    """Whether a path is neither a file nor a directory: its reader might wait, or never come to an end."""
    return path.exists() and not path.is_file() and not path.is_dir()


def sync(path: Path) -> None:
    """Flushes a file's content, or a directory's entries, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_synced(path: Path, content: bytes) -> None:
    """Writes a file and flushes it to disk."""
    path.write_bytes(content)
    sync(path)


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Yields the path of an empty temporary file, which is flushed to disk and appears at `path` only at the end.

    Raises FileExistsError if `path` already exists, since nothing is overwritten, and OSError if the disk fails.
    """
    if os.path.lexists(path):
        raise FileExistsError(f"{path} already exists")
    descriptor, name = tempfile.mkstemp(prefix=f"{path.name}.", suffix=UNFINISHED, dir=path.parent)
    os.close(descriptor)
    unfinished = Path(name)
    try:
        yield unfinished
        sync(unfinished)
        _publish(unfinished, path)
        sync(path.parent)
    finally:
        unfinished.unlink(missing_ok=True)


def _publish(unfinished: Path, path: Path) -> None:
    """Gives a file its final name; raises FileExistsError if there is such a file."""
    try:
        path.hardlink_to(unfinished)
    except FileExistsError:
        raise
    except OSError:  # The file system has no hard links.
        if os.path.lexists(path):
            raise FileExistsError(f"{path} already exists") from None
        unfinished.rename(path)
