r"""The block format of results files, and of the messages between coordinator and worker processes.

A file is a sequence of runs, a run a sequence of blocks: `header`, then any number of `records`, `vitals` and
`metrics`, then `end`. Appending one file to another therefore merges them. A block is

    4 bytes  magic  b"CJLT"
    1 byte   kind
    4 bytes  length of the payload, little-endian
    4 bytes  CRC-32 of the kind, the length and the payload
    …        payload: zlib-compressed records, or JSON

If a run was cut short, within a block or before its `end`, readers get its whole blocks, and find the next run of the
file by its header.
"""

import json
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import IO, Any

from loadtest.errors import ResultsError

MAGIC = b"CJLT"
FRAME = struct.Struct("<4sBII")
CHECKED_HEAD = struct.Struct("<BI")
LARGEST_BYTES = 256 * 1024 * 1024


class Kind(IntEnum):
    """The kinds of blocks."""

    HEADER = 1  # JSON: the plan and the environment; begins a run.
    RECORDS = 2  # zlib: records of requests, as `record.DTYPE`.
    VITALS = 3  # JSON: the state of one generator process.
    METRICS = 4  # JSON: metrics scraped from the server.
    END = 5  # JSON: how the run ended; its last block.
    READY = 6  # From workers only: connected and waiting for the start.
    FAILED = 7  # From workers only: JSON with the error that ended the worker.
    PLAN = 8  # To workers only: the plan, as `generator.wire` encodes it.
    START = 9  # To workers only: JSON with the start time.


@dataclass(frozen=True)
class Block:
    """One block."""

    kind: Kind
    payload: bytes

    def json(self) -> dict[str, Any]:
        """Returns the payload of a JSON block."""
        value: dict[str, Any] = json.loads(self.payload)
        return value


class CutShort(ResultsError):
    """The file ends in the middle of a block, or a block is damaged."""


def write_block(file: IO[bytes], kind: Kind, payload: bytes) -> None:
    """Appends a block."""
    file.write(FRAME.pack(MAGIC, kind, len(payload), _checksum(kind, payload)) + payload)


def write_json(file: IO[bytes], kind: Kind, value: dict[str, Any]) -> None:
    """Appends a block of JSON."""
    write_block(file, kind, json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


def read_blocks(file: IO[bytes]) -> Iterator[Block]:
    """Yields the blocks of a file or pipe until its end.

    Raises:
        CutShort: The file ends within a block, or a block is damaged; all earlier blocks were yielded.
    """
    while frame := file.read(FRAME.size):
        if len(frame) < FRAME.size:
            raise CutShort("it ends in the middle of a block")
        magic, kind, length, checksum = FRAME.unpack(frame)
        if magic != MAGIC or length > LARGEST_BYTES or kind not in Kind.__members__.values():
            raise CutShort("it contains data that is not a block")
        payload = file.read(length)
        if len(payload) < length:
            raise CutShort("it ends in the middle of a block")
        if _checksum(kind, payload) != checksum:
            raise CutShort("a block is damaged")
        yield Block(Kind(kind), payload)


def seek_header(file: IO[bytes], start: int) -> bool:
    """Seeks the first whole header block at or after `start`; returns whether there is one."""
    file.seek(start)
    rest = file.read()
    position = rest.find(MAGIC)
    while position >= 0:
        file.seek(start + position)
        try:
            if next(read_blocks(file)).kind == Kind.HEADER:
                file.seek(start + position)
                return True
        except (CutShort, StopIteration):
            pass
        position = rest.find(MAGIC, position + 1)
    return False


def _checksum(kind: int, payload: bytes) -> int:
    return zlib.crc32(payload, zlib.crc32(CHECKED_HEAD.pack(kind, len(payload))))
