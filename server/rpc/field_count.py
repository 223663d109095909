"""Counts the fields of an encoded message before it is decoded (protobuf.dev/programming-guides/encoding).

Decoding holds the GIL. Millions of empty elements, or a map with hundreds of thousands of entries, take a tenth of a
second, although the method would reject them.
"""

import functools
from collections.abc import Mapping

from google.protobuf.descriptor import Descriptor

from server.errors import InvalidRequest, Violation

MAX_FIELDS = 250_000
"""Maximum fields of a message and the messages in it. Each element of a repeated field counts."""

CHECKED_BYTES = 2 * MAX_FIELDS
"""Size below which messages are not counted: a field has at least two bytes."""

VARINT, FIXED64, LENGTH_DELIMITED, FIXED32 = 0, 1, 2, 5
"""Types of fields on the wire. The marks of groups (3 and 4) have no content of their own."""

ONE_BYTE = 0x7F
"""Largest number that takes one byte."""

VARINT_BITS = 70
"""The decoder rejects longer numbers."""


def check_fields(message: bytes, descriptor: Descriptor) -> None:
    """Raises InvalidRequest if an encoded message of a type has more than MAX_FIELDS fields.

    The decoder judges malformed messages. The count takes up to three tenths of a second: call it in a thread.
    """
    count = 0
    waiting = [(0, len(message), descriptor)]  # Messages to look into: start, end and type.
    while waiting:
        position, end, inside = waiting.pop()
        messages = _messages_of(inside)
        try:
            while position < end:
                count += 1
                if count > MAX_FIELDS:
                    raise InvalidRequest([Violation("request", f"has more than {MAX_FIELDS} fields: split the call")])
                # Most numbers have one byte. A call for each of those would double the time.
                tag = message[position]
                position += 1
                if tag > ONE_BYTE:
                    tag, position = _varint(message, position - 1)
                kind = tag & 7
                if kind == LENGTH_DELIMITED:
                    size = message[position]
                    position += 1
                    if size > ONE_BYTE:
                        size, position = _varint(message, position - 1)
                    if size and (contained := messages.get(tag >> 3)) is not None:
                        waiting.append((position, position + size, contained))
                    position += size
                elif kind == VARINT:
                    _, position = _varint(message, position)
                elif kind == FIXED64:
                    position += 8
                elif kind == FIXED32:
                    position += 4
        except IndexError:  # The message ends within a field.
            continue


def _varint(message: bytes, position: int) -> tuple[int, int]:
    """Returns the number at a position, and the position after it; ends the message if there is no valid number."""
    value = shift = 0
    for byte in message[position : position + VARINT_BITS // 7]:
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
    return 0, len(message)


@functools.cache
def _messages_of(descriptor: Descriptor) -> Mapping[int, Descriptor]:
    """Returns the types of a message's fields by number that are messages."""
    return {field.number: field.message_type for field in descriptor.fields if field.message_type is not None}
