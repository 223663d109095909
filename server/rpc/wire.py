"""Puts serialized messages into the fields of others, so that large messages are not copied as objects.

A serialized message is a sequence of fields in any order, and two of them in a row are the merged message. Source:
https://protobuf.dev/programming-guides/encoding/
"""

import struct

LENGTH_DELIMITED = 2
FIXED_32 = 5
"""Wire types of fields that hold a message, and a number in 32 bits."""

LARGEST_NUMBER = 15
"""Largest number of a field whose tag takes one byte."""

ELEMENT_BYTES = 8
"""Most bytes of the tag and the length of an embedded message."""


def embedded(number: int, content: bytes) -> bytes:
    """Returns the field with a number from 1 to 15 that holds a serialized message."""
    assert 1 <= number <= LARGEST_NUMBER, "the tag takes one byte"
    head, length = bytearray([number << 3 | LENGTH_DELIMITED]), len(content)
    while length > 0x7F:
        head.append(length & 0x7F | 0x80)
        length >>= 7
    head.append(length)
    return bytes(head) + content


def single(number: int, value: float) -> bytes:
    """Returns the field with a number from 1 to 15 that holds a 32-bit float."""
    assert 1 <= number <= LARGEST_NUMBER, "the tag takes one byte"
    return struct.pack("<Bf", number << 3 | FIXED_32, value)
