"""Counts the fields of an encoded message before it is decoded (protobuf.dev/programming-guides/encoding).

Decoding holds the GIL. Millions of empty elements take a tenth of a second, although the method would reject them.
"""

from server.errors import InvalidRequest, Violation

LARGE_BYTES = 64 * 1024
"""Size from which a message may have so many fields that they are counted."""

MAX_FIELDS = 100_000
"""Maximum fields of a message, not counting those of messages in it. Each element of a repeated field counts."""


def checked(message: bytes) -> bytes:
    """Returns an encoded message; raises InvalidRequest if it has more than MAX_FIELDS fields."""
    if len(message) >= LARGE_BYTES and _has_too_many_fields(message):
        raise InvalidRequest([Violation("request", f"has more than {MAX_FIELDS} fields: split the call")])
    return message


def _has_too_many_fields(message: bytes) -> bool:
    """Returns False also for a malformed message, which the decoder rejects."""
    position = 0
    try:
        for _ in range(MAX_FIELDS):
            tag, position = _varint(message, position)
            match tag & 7:  # The type of the field.
                case 0:
                    _, position = _varint(message, position)
                case 1:
                    position += 8
                case 2:
                    size, position = _varint(message, position)
                    position += size
                case 5:
                    position += 4
                case _:
                    return False
            if position >= len(message):
                return False
    except IndexError:
        return False
    return True


def _varint(message: bytes, position: int) -> tuple[int, int]:
    """Returns the number at a position, and the position after it."""
    value = shift = 0
    while True:
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
