"""A file of arrays that knows when it is damaged.

    one line of JSON: format, version, dtype and length of each array, their checksum · the arrays, end to end

The line itself ends with its own checksum.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from server.errors import SnapshotError

FORMAT = 1
LONGEST_HEADER_BYTES = 1 << 20


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What stands in the first line."""

    format: int
    version: str
    arrays: list[tuple[str, int]]
    checksum: int


def write_snapshot(path: Path, *, version: str, arrays: Sequence[NDArray[Any]]) -> None:
    """Writes one-dimensional arrays to a new file, and sees it onto the disk.

    Args:
        path: The file.
        version: Says what the arrays mean; who reads must ask for the same.
        arrays: What is written.

    Raises:
        OSError: The disk is full, or the file is not to be written.
    """
    flat = [np.ascontiguousarray(array) for array in arrays]
    checksum = 0
    for array in flat:
        checksum = zlib.crc32(_bytes_of(array), checksum)
    header = msgspec.json.encode(Header(FORMAT, version, [(array.dtype.str, len(array)) for array in flat], checksum))
    with path.open("xb") as file:
        file.write(b"%s %08x\n" % (header, zlib.crc32(header)))
        for array in flat:
            file.write(_bytes_of(array))
        file.flush()
        os.fsync(file.fileno())


def read_snapshot(path: Path, *, version: str) -> list[NDArray[Any]]:
    """Returns the arrays that `write_snapshot` wrote.

    Raises:
        SnapshotError: The file is missing, cut off, damaged, or of another version.
    """
    try:
        with path.open("rb") as file:
            line = file.readline(LONGEST_HEADER_BYTES)
            text, _, own_checksum = line.rstrip(b"\n").rpartition(b" ")
            if not line.endswith(b"\n") or own_checksum != b"%08x" % zlib.crc32(text):
                raise SnapshotError(f"{path} is damaged in its first line")
            header = msgspec.json.decode(text, type=Header)
            if (header.format, header.version) != (FORMAT, version):
                raise SnapshotError(f"{path} is of another version")
            size = sum(np.dtype(dtype).itemsize * length for dtype, length in header.arrays)
            if path.stat().st_size != len(line) + size:
                raise SnapshotError(f"{path} is not as long as it should be")
            arrays = [np.fromfile(file, dtype=dtype, count=length) for dtype, length in header.arrays]
    except (OSError, msgspec.DecodeError, TypeError) as error:
        raise SnapshotError(f"{path} cannot be read: {error}") from None
    checksum = 0
    for array in arrays:
        checksum = zlib.crc32(_bytes_of(array), checksum)
    if checksum != header.checksum:
        raise SnapshotError(f"{path} is damaged: its checksum is another")
    return arrays


def _bytes_of(array: NDArray[Any]) -> memoryview:
    return memoryview(cast(bytes, array.view(np.uint8)))
