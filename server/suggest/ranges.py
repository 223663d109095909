"""Converts ranges of a text between the units in which programming languages count.

Python counts code points. Java, Kotlin, Swift's NSString and JavaScript count UTF-16 units; Go and Rust count bytes.
"""

from collections.abc import Sequence

Ranges = Sequence[tuple[int, int]]


def to_utf16(text: str, ranges: Ranges) -> list[tuple[int, int]]:
    """Returns ranges of code points as ranges of UTF-16 units: a character beyond U+FFFF, such as an emoji, has two."""
    return [(_units(text[:start]), _units(text[:end])) for start, end in ranges]


def to_utf8(text: str, ranges: Ranges) -> list[tuple[int, int]]:
    """Returns ranges of code points as ranges of bytes of the text in UTF-8."""
    return [(_bytes(text[:start]), _bytes(text[:end])) for start, end in ranges]


def _units(text: str) -> int:
    return len(text) + sum(character > "\uffff" for character in text)


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))
