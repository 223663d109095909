"""Messages from the coordinator to a worker: bytes behind their length."""

from __future__ import annotations

import struct
from typing import IO

LENGTH = struct.Struct("<Q")


def write_message(file: IO[bytes], message: bytes) -> None:
    """Writes a message at once."""
    file.write(LENGTH.pack(len(message)) + message)
    file.flush()


def read_message(file: IO[bytes]) -> bytes:
    """Returns the next message; empty at the end."""
    length = file.read(LENGTH.size)
    return file.read(LENGTH.unpack(length)[0]) if len(length) == LENGTH.size else b""
