"""Decodes header blocks (HPACK, RFC 7541); the tables and the Huffman code are those of the library `hpack`.

The library's own decoder takes four times as long, and does not say whether a block has changed the table.
"""

from __future__ import annotations

from collections import deque

from hpack.exceptions import HPACKError
from hpack.huffman_table import decode_huffman
from hpack.table import HeaderTable

Field = tuple[bytes, bytes]

STATIC_TABLE: tuple[Field, ...] = HeaderTable.STATIC_TABLE
MAX_TABLE_BYTES = 4096
"""What a client's table may take: the default, which our SETTINGS leave as it is (RFC 9113, section 6.5.2)."""

ENTRY_OVERHEAD_BYTES = 32
"""Of each field, when tables and lists are measured (section 4.1)."""

_LARGEST_INTEGER = 2**31


class BlockError(Exception):
    """A block that cannot be decoded."""


class ListTooLarge(Exception):
    """A block whose fields take too much together."""


class Decoder:
    """The state of one connection's header compression.

    Attributes:
        changed: Whether a block has changed the dynamic table since this was last set to `False`.
    """

    def __init__(self, max_list_bytes: int) -> None:
        self.changed = False
        self._max_list_bytes = max_list_bytes
        self._entries: deque[Field] = deque()
        """The dynamic table, the newest entry last."""
        self._table_bytes = 0
        self._max_table_bytes = MAX_TABLE_BYTES

    def decode(self, block: bytes) -> list[Field]:
        """Returns the fields of a block. After an error the state is of no use any more.

        Raises:
            BlockError: It breaks a rule of HPACK.
            ListTooLarge: It becomes larger than allowed.
        """
        try:
            return self._decode(block)
        except (IndexError, HPACKError) as error:
            raise BlockError(str(error)) from None

    def _decode(self, block: bytes) -> list[Field]:
        fields: list[Field] = []
        position, end, list_bytes = 0, len(block), 0
        while position < end:
            first = block[position]
            if first & 0x80:  # Section 6.1: an entry of the tables.
                index, position = _integer(block, position, 0x7F)
                field = self._entry(index)
            elif first & 0xE0 == 0x20:  # Section 6.3: a new size of the dynamic table.
                if fields:
                    raise BlockError("a table size update behind a field")
                size, position = _integer(block, position, 0x1F)
                self._resize(size)
                continue
            else:  # Section 6.2: a literal, whose name may be an entry's.
                index, position = _integer(block, position, 0x3F if first & 0x40 else 0x0F)
                if index:
                    name = self._entry(index)[0]
                else:
                    name, position = _string(block, position)
                value, position = _string(block, position)
                field = name, value
                if first & 0x40:
                    self._add(field)
            fields.append(field)
            list_bytes += len(field[0]) + len(field[1]) + ENTRY_OVERHEAD_BYTES
            if list_bytes > self._max_list_bytes:
                raise ListTooLarge
        return fields

    def _entry(self, index: int) -> Field:
        """Returns an entry by its index: the static ones from 1, then the newest dynamic one (section 2.3.3)."""
        if index <= len(STATIC_TABLE):
            if not index:
                raise BlockError("the index 0")
            return STATIC_TABLE[index - 1]
        return self._entries[len(STATIC_TABLE) - index]

    def _add(self, field: Field) -> None:
        """Adds an entry and evicts the oldest; one that is too large only empties the table (section 4.4)."""
        self.changed = True
        self._entries.append(field)
        self._table_bytes += len(field[0]) + len(field[1]) + ENTRY_OVERHEAD_BYTES
        self._evict()

    def _resize(self, size: int) -> None:
        if size > MAX_TABLE_BYTES:
            raise BlockError(f"a table of {size} bytes")
        if size != self._max_table_bytes:
            self.changed = True
            self._max_table_bytes = size
            self._evict()

    def _evict(self) -> None:
        while self._table_bytes > self._max_table_bytes:
            name, value = self._entries.popleft()
            self._table_bytes -= len(name) + len(value) + ENTRY_OVERHEAD_BYTES


def _integer(block: bytes, position: int, mask: int) -> tuple[int, int]:
    """Returns an integer whose prefix is the mask, and the position behind it (section 5.1)."""
    value = block[position] & mask
    position += 1
    if value < mask:
        return value, position
    shift = 0
    while True:
        octet = block[position]
        position += 1
        value += (octet & 0x7F) << shift
        if value > _LARGEST_INTEGER or shift > 28:
            raise BlockError("an integer that is too large")
        if octet < 0x80:
            return value, position
        shift += 7


def _string(block: bytes, position: int) -> tuple[bytes, int]:
    """Returns a string and the position behind it (section 5.2)."""
    coded = block[position] & 0x80
    length, start = _integer(block, position, 0x7F)
    end = start + length
    if end > len(block):
        raise BlockError("a string that is cut short")
    text = block[start:end]
    return (decode_huffman(text) if coded else text), end
