"""Counts the elements of an encoded message before it is decoded (protobuf.dev/programming-guides/encoding).

Decoding holds the GIL. Millions of empty elements, or a map with hundreds of thousands of entries, take a tenth of a
second, although the method would reject them.
"""

import functools
from collections.abc import Mapping

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from server.errors import InvalidRequest, Violation

MAX_ELEMENTS = 100_000
"""Maximum elements of a message's repeated fields, together with those of the maps and lists in it."""

MAX_DEPTH = 100
"""Maximum depth of messages within messages; the decoder allows as many."""

VARINT, FIXED64, LENGTH_DELIMITED, FIXED32 = 0, 1, 2, 5
"""Types of fields on the wire."""


def check_elements(message: bytes, descriptor: Descriptor) -> None:
    """Raises InvalidRequest if an encoded message has more than MAX_ELEMENTS elements.

    All elements in the message itself count; at any depth, those of maps and of messages that may have maps. The
    decoder judges malformed messages. The count takes up to a tenth of a second: call it in a thread.
    """
    _Counter(message).count(0, len(message), descriptor, depth=0)


class _Counter:
    def __init__(self, message: bytes) -> None:
        self._message = message
        self._elements = 0

    def count(self, position: int, end: int, descriptor: Descriptor, *, depth: int) -> None:
        """Counts the elements between two positions, where a message of a type lies."""
        message, inner = self._message, _messages_with_maps(descriptor)
        if depth > MAX_DEPTH:
            return
        end = min(end, len(message))
        while position < end:
            tag, position = self._varint(position)
            if not depth:
                self._add()
            kind = tag & 7
            if kind == LENGTH_DELIMITED:
                size, position = self._varint(position)
                if (contained := inner.get(tag >> 3)) is not None:
                    if depth and contained.is_repeated:
                        self._add()
                    assert contained.message_type is not None
                    self.count(position, position + size, contained.message_type, depth=depth + 1)
                position += size
            elif kind == VARINT:
                _, position = self._varint(position)
            elif kind == FIXED64:
                position += 8
            elif kind == FIXED32:
                position += 4
            else:  # Malformed.
                return

    def _add(self) -> None:
        self._elements += 1
        if self._elements > MAX_ELEMENTS:
            raise InvalidRequest([Violation("request", f"has more than {MAX_ELEMENTS} elements: split the call")])

    def _varint(self, position: int) -> tuple[int, int]:
        """Returns the number at a position, and the position after it; 0 at the end of the message."""
        message, value, shift = self._message, 0, 0
        while position < len(message):
            byte = message[position]
            position += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value, position
            shift += 7
        return 0, position


@functools.cache
def _messages_with_maps(descriptor: Descriptor) -> Mapping[int, FieldDescriptor]:
    """Returns the fields of a message by number that are maps, or messages which have maps at some depth."""
    return {
        field.number: field
        for field in descriptor.fields
        if field.message_type is not None and _has_maps(field.message_type, frozenset())
    }


def _has_maps(descriptor: Descriptor, above: frozenset[str]) -> bool:
    """Returns whether a type is a map's entry or has one at some depth; `above` has the types that lead to it."""
    if descriptor.GetOptions().map_entry:
        return True
    above |= {descriptor.full_name}
    contained = (field.message_type for field in descriptor.fields if field.message_type is not None)
    return any(each.full_name not in above and _has_maps(each, above) for each in contained)
