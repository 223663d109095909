"""The sequence of the last acknowledged change, in a small file beside the database.

If a write-ahead log is damaged, SQLite silently returns to the last intact change; if there is no database, it makes a
new one. A database that is older than this file has lost acknowledged changes.

The file is written after each commit but not synced: after a crash of the machine it may be older than the database. It
is never newer than an intact database. An unreadable file is ignored.
"""

import contextlib
import os
import struct
import zlib
from pathlib import Path

ACKNOWLEDGED = "acknowledged"

_NUMBER, _CHECKSUM = struct.Struct("<q"), struct.Struct("<I")


def read_acknowledged(directory: Path) -> int:
    """Returns the sequence; 0 if the file is missing or unreadable."""
    try:
        content = (directory / ACKNOWLEDGED).read_bytes()
    except OSError:
        return 0
    number = content[: _NUMBER.size]
    if content[_NUMBER.size :] != _CHECKSUM.pack(zlib.crc32(number)):  # A write is in progress, or the file is damaged.
        return 0
    return int(_NUMBER.unpack(number)[0])


def write_acknowledged(directory: Path, sequence: int) -> None:
    """Writes the sequence. Ignores errors of the disk, since an older sequence is valid as well."""
    number = _NUMBER.pack(sequence)
    with contextlib.suppress(OSError):
        file = os.open(directory / ACKNOWLEDGED, os.O_CREAT | os.O_WRONLY, 0o600)
        try:
            os.pwrite(file, number + _CHECKSUM.pack(zlib.crc32(number)), 0)
        finally:
            os.close(file)
