"""Checksums of files: CRC-32, which zlib computes at 2.4 GB/s, where BLAKE2b makes 0.6 and SHA-256 1.5.

They are to find damage, not malice.
"""

from __future__ import annotations

import zlib
from pathlib import Path

CHUNK_BYTES = 1 << 22


def file_checksum(path: Path) -> int:
    """Returns the checksum of a file's content. Reading also warms the page cache."""
    checksum = 0
    buffer = memoryview(bytearray(CHUNK_BYTES))
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            checksum = zlib.crc32(buffer[:count], checksum)
    return checksum
