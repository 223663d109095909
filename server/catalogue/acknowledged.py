"""The sequence of the last change that was acknowledged, in a small file beside the database.

SQLite goes back in silence to the last whole change of a write-ahead log that is damaged, and makes a new database
where there is none. A database that is behind this file has lost what somebody was told would stay.

The file is written after each commit and not waited for: after a crash of the machine it may be behind the database,
but it is never ahead of one that lost nothing. What cannot be read says nothing.
"""

import contextlib
import os
import struct
import zlib
from pathlib import Path

ACKNOWLEDGED = "acknowledged"

_NUMBER, _CHECKSUM = struct.Struct("<q"), struct.Struct("<I")


def read_acknowledged(directory: Path) -> int:
    """Returns the sequence; 0 where nothing is known."""
    try:
        content = (directory / ACKNOWLEDGED).read_bytes()
    except OSError:
        return 0
    number = content[: _NUMBER.size]
    if content[_NUMBER.size :] != _CHECKSUM.pack(zlib.crc32(number)):  # It is just being written, or damaged.
        return 0
    return int(_NUMBER.unpack(number)[0])


class Acknowledged:
    """Writes the file of a directory."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / ACKNOWLEDGED
        self._file: int | None = None

    def write(self, sequence: int) -> None:
        """Puts down a sequence. A disk that does not take it leaves the one before, which is right as well."""
        number = _NUMBER.pack(sequence)
        with contextlib.suppress(OSError):
            if self._file is None:
                self._file = os.open(self._path, os.O_CREAT | os.O_WRONLY, 0o600)
            os.pwrite(self._file, number + _CHECKSUM.pack(zlib.crc32(number)), 0)

    def close(self) -> None:
        """Closes the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
