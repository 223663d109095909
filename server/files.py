"""Files that are on the disk when they are said to be."""

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

HASHED_BYTES = 8 << 20
"""Bytes hashed at a time, without the GIL. `hashlib.file_digest` waits for the GIL after each of its small blocks."""


def file_digest(path: Path) -> str:
    """Returns the SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while part := file.read(HASHED_BYTES):
            digest.update(part)
    return digest.hexdigest()


def sync(path: Path) -> None:
    """Waits until a file's content, or a directory's names, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_synced(path: Path, content: bytes) -> None:
    """Writes a file, and waits until it is on the disk."""
    path.write_bytes(content)
    sync(path)


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Gives the path of an empty file that gets its name when the context ends, on the disk, and never another's place.

    Raises:
        FileExistsError: Something has that name already; it stays as it is.
        OSError: It cannot be written.
    """
    if os.path.lexists(path):
        raise FileExistsError(f"{path} exists already")
    descriptor, name = tempfile.mkstemp(prefix=f"{path.name}.", suffix=".unfinished", dir=path.parent)
    os.close(descriptor)
    unfinished = Path(name)
    try:
        yield unfinished
        sync(unfinished)
        path.hardlink_to(unfinished)
        sync(path.parent)
    finally:
        unfinished.unlink(missing_ok=True)
