"""The snapshot of the columns: one file that is whole, or is not used.

    a line that names format and version
    8 bytes: length of the header
    header: JSON, what there is
    for each column: slots, values; of strings also their first bytes, and all of them in MessagePack
    32 bytes: BLAKE2b of everything before

Numbers are little-endian.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from server.attributes.column import VALUE_TYPES, Column, ColumnView
from server.attributes.dictionary import Dictionary
from server.attributes.filter import Kind
from server.errors import SnapshotError

NAME = "columns"
FORMAT = b"chaja columns 1\n"
DIGEST_BYTES = 32

Count = Annotated[int, msgspec.Meta(ge=0)]


class ColumnHeader(msgspec.Struct):
    """What the file has of one column."""

    attribute: str
    kind: Kind
    entry_count: Count
    string_count: Count
    strings_bytes: Count


class Header(msgspec.Struct):
    """What the file has."""

    slot_count: Count
    columns: list[ColumnHeader]


def write(directory: Path, slot_count: int, columns: Mapping[tuple[str, Kind], ColumnView]) -> None:
    """Writes the file and waits until it is on the disk."""
    header = Header(slot_count, [])
    pieces: list[bytes | memoryview] = []
    for (attribute, kind), column in columns.items():
        string_count, packed = 0, b""
        pieces += [_to_bytes(column.slots), _to_bytes(column.values)]
        if column.dictionary:
            string_count = len(column.dictionary.heads)
            packed = msgspec.msgpack.encode(column.dictionary.strings[:string_count])
            pieces += [_to_bytes(column.dictionary.heads), packed]
        header.columns.append(ColumnHeader(attribute, kind, len(column.slots), string_count, len(packed)))
    encoded_header = msgspec.json.encode(header)
    digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
    with (directory / NAME).open("xb") as file:
        for piece in (FORMAT, len(encoded_header).to_bytes(8, "little"), encoded_header, *pieces):
            file.write(piece)
            digest.update(piece)
        file.write(digest.digest())
        file.flush()
        os.fsync(file.fileno())


def read(directory: Path) -> tuple[int, dict[tuple[str, Kind], Column]]:
    """Reads the number of slots, and the columns.

    Raises:
        SnapshotError: The file is missing, damaged, cut short or of another version.
    """
    path = directory / NAME
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SnapshotError(f"{path} cannot be read: {error.strerror}") from None
    if not data.startswith(FORMAT):
        raise SnapshotError(f"{path} is of another version, or no snapshot of attributes")
    content = memoryview(data)[:-DIGEST_BYTES]
    if hashlib.blake2b(content, digest_size=DIGEST_BYTES).digest() != data[-DIGEST_BYTES:]:
        raise SnapshotError(f"{path} is damaged: its checksum is wrong")
    reader = _Reader(content[len(FORMAT) :])
    try:
        header = msgspec.json.decode(reader.bytes(int.from_bytes(reader.bytes(8), "little")), type=Header)
        columns = {(each.attribute, each.kind): _column(reader, header.slot_count, each) for each in header.columns}
    except (ValueError, msgspec.DecodeError) as error:
        raise SnapshotError(f"{path} has a checksum that is right, and contents that are not: {error}") from None
    return header.slot_count, columns


class _Reader:
    """Hands out the contents of a file, piece by piece."""

    def __init__(self, content: memoryview) -> None:
        self._content = content

    def bytes(self, length: int) -> memoryview:
        piece, self._content = self._content[:length], self._content[length:]
        return piece

    def array(self, type: type[np.generic], count: int) -> NDArray[Any]:
        """Returns a copy, so that the file's contents need not stay in memory."""
        little_endian = np.dtype(type).newbyteorder("<")
        return np.frombuffer(self.bytes(count * little_endian.itemsize), little_endian, count).astype(type)


def _column(reader: _Reader, slot_count: int, header: ColumnHeader) -> Column:
    slots = reader.array(np.int32, header.entry_count)
    values = reader.array(VALUE_TYPES[header.kind], header.entry_count)
    dictionary = None
    if header.kind == "string":
        heads = reader.array(np.uint64, 2 * header.string_count).reshape(-1, 2)
        strings = msgspec.msgpack.decode(reader.bytes(header.strings_bytes), type=list[str])
        dictionary = Dictionary.of(strings, heads)
        _check_below(values, header.string_count)
    _check_below(slots, slot_count)
    return Column.of(header.kind, slots, values, dictionary)


def _check_below(numbers: NDArray[Any], bound: int) -> None:
    if len(numbers) and not 0 <= numbers.min() <= numbers.max() < bound:
        raise ValueError("a slot or a string is out of bounds")


def _to_bytes(array: NDArray[Any]) -> memoryview:
    little_endian = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return little_endian.reshape(-1).view(np.uint8).data
