"""A snapshot of an index: a directory of arrays, which is used only if it is complete.

    snapshot.json   its own checksum; the version of this layout; the facts that it depends on; every file's checksum
    arrays.npz      the arrays, in NumPy's format
    …               large memory-mapped files; they are linked, not copied, because they never change

CRC-32 detects damage, not tampering; BLAKE2b takes longer to compute.
"""

import os
import shutil
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from server.errors import SnapshotError, first_line
from server.files import sync, write_synced

VERSION = 4

DESCRIPTION = "snapshot.json"
ARRAYS = "arrays.npz"

CHUNK_BYTES = 1 << 22

Arrays = Mapping[str, NDArray[Any]]

Facts = Mapping[str, str | int]
"""Values that a snapshot depends on, such as the model's revision. It is used only if all of them are equal."""


class CheckedFile(NamedTuple):
    """A file that never changes, and its checksum."""

    path: Path
    checksum: int


class Snapshot(NamedTuple):
    """The content of a snapshot: the arrays of each part of the index, and the large files by name."""

    parts: Mapping[str, Arrays]
    files: Mapping[str, CheckedFile]


class Description(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of `snapshot.json` after its checksum."""

    version: int
    facts: dict[str, str | int]
    checksums: dict[str, int]


def write_snapshot(
    directory: Path, facts: Facts, *, parts: Mapping[str, Arrays], files: Mapping[str, CheckedFile]
) -> None:
    """Writes a snapshot into an empty directory, with links to `files`, and flushes it to disk. Raises OSError."""
    arrays = {f"{part}/{name}": array for part, of_part in parts.items() for name, array in of_part.items()}
    path = directory / ARRAYS
    with path.open("xb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]  # the stub expects a bool for `allow_pickle`
    sync(path)
    checksums = {ARRAYS: file_checksum(path)} | {name: file.checksum for name, file in files.items()}
    for name, linked in files.items():
        link(linked.path, directory / name)
    body = msgspec.json.encode(Description(VERSION, dict(facts), checksums))
    write_synced(directory / DESCRIPTION, b"%08x\n%b" % (zlib.crc32(body), body))
    sync(directory)


def read_snapshot(directory: Path, facts: Facts) -> Snapshot:
    """Reads a snapshot and verifies every file; raises SnapshotError unless it is intact and has these facts."""
    try:
        description = _read_description(directory / DESCRIPTION)
        expected = {"version": VERSION, **facts}
        found = {"version": description.version, **description.facts}
        for name in expected | found:
            if found.get(name) != expected.get(name):
                raise SnapshotError(f"{directory} has {name} {found.get(name)}, expected {expected.get(name)}")
        files = {name: CheckedFile(directory / name, checksum) for name, checksum in description.checksums.items()}
        for file in files.values():
            if file_checksum(file.path) != file.checksum:
                raise SnapshotError(f"{file.path} is damaged: its checksum differs")
        parts: defaultdict[str, dict[str, NDArray[Any]]] = defaultdict(dict)
        with np.load(files.pop(ARRAYS).path) as arrays:
            for key in arrays.files:
                part, _, name = key.partition("/")
                parts[part][name] = arrays[key]
    except (OSError, ValueError, KeyError, msgspec.DecodeError, zipfile.BadZipFile) as error:
        raise SnapshotError(f"{directory} cannot be read: {first_line(error)}") from error
    return Snapshot(parts, files)


def file_checksum(path: Path) -> int:
    """Returns the CRC-32 of a file's content."""
    checksum = 0
    buffer = memoryview(bytearray(CHUNK_BYTES))
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            checksum = zlib.crc32(buffer[:count], checksum)
    return checksum


def link(source: Path, target: Path) -> None:
    """Hard-links a file, or copies it if the file system does not support links."""
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copyfile(source, target)
        sync(target)


def _read_description(path: Path) -> Description:
    checksum, _, body = path.read_bytes().partition(b"\n")
    if checksum != b"%08x" % zlib.crc32(body):
        raise SnapshotError(f"{path} is damaged: its checksum differs")
    return msgspec.json.decode(body, type=Description)
