"""The sequence of the last acknowledged change, in a small file beside the database.

If a write-ahead log is damaged, SQLite silently returns to the last intact change; if there is no database, it makes a
new one. A database that is older than this file has lost acknowledged changes.

The file also identifies the database by its inode and the time of the inode's last change, which no program can set. So
a copy of a database does not match the file, even if the file was copied with it. A volume that is rolled back as a
whole brings both back, and is not noticed.

The file is written after each commit but not synced: after a crash of the machine it may be older than the database. It
is never newer than an intact database. An unreadable file is ignored.
"""

import contextlib
import os
import struct
import zlib
from pathlib import Path
from typing import NamedTuple

ACKNOWLEDGED = "acknowledged"

_RECORD, _OLDER_RECORD, _CHECKSUM = struct.Struct("<qQQ"), struct.Struct("<q"), struct.Struct("<I")


class FileIdentity(NamedTuple):
    """The inode of a file, and the time of the inode's last change."""

    inode: int
    changed_nanoseconds: int


class Acknowledged(NamedTuple):
    """The last acknowledged change, and the database that has it; None for a file of a version that did not store it.

    `sequence` is 0 if the file is missing or unreadable.
    """

    sequence: int
    database: FileIdentity | None


UNKNOWN = FileIdentity(0, 0)
"""The identity of no database."""


def identity_of(database: Path) -> FileIdentity:
    """Returns the identity of a file; UNKNOWN if it does not exist."""
    try:
        found = database.stat()
    except OSError:
        return UNKNOWN
    return FileIdentity(found.st_ino, found.st_ctime_ns)


def read_acknowledged(directory: Path) -> Acknowledged:
    """Reads the file."""
    nothing = Acknowledged(0, UNKNOWN)
    try:
        content = (directory / ACKNOWLEDGED).read_bytes()
    except OSError:
        return nothing
    record, checksum = content[: -_CHECKSUM.size], content[-_CHECKSUM.size :]
    if checksum != _CHECKSUM.pack(zlib.crc32(record)):  # A write is in progress, or the file is damaged.
        return nothing
    if len(record) == _OLDER_RECORD.size:
        return Acknowledged(_OLDER_RECORD.unpack(record)[0], None)
    if len(record) != _RECORD.size:
        return nothing
    sequence, *identity = _RECORD.unpack(record)
    return Acknowledged(sequence, FileIdentity(*identity))


def write_acknowledged(directory: Path, sequence: int, database: FileIdentity) -> None:
    """Writes the file. Ignores errors of the disk, since an older sequence is valid as well."""
    record = _RECORD.pack(sequence, *database)
    with contextlib.suppress(OSError):
        file = os.open(directory / ACKNOWLEDGED, os.O_CREAT | os.O_WRONLY, 0o600)
        try:
            os.pwrite(file, record + _CHECKSUM.pack(zlib.crc32(record)), 0)
        finally:
            os.close(file)
