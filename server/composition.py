"""Composes texts (NFC), so that the two ways to write `é` or `한` are the same wherever texts are encoded or compared.

What was written is stored as it was written. `align` maps places in the composed text back to it.
"""

import re
import unicodedata
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from server.sections import normalized, sections

JOINING = frozenset(
    [
        *map(chr, range(0x1161, 0x1176)),  # Vowels of Hangul.
        *map(chr, range(0x11A8, 0x11C3)),  # Final consonants of Hangul.
        *"\u0f73\u0f75\u0f81",  # Tibetan vowels that decompose into combining marks.
        *"\u09be\u09d7\u0b3e\u0b56\u0b57\u0bbe\u0bd7\u0cc2\u0cd5\u0cd6\u0d3e\u0d57\u0dcf\u0ddf\u102e\u1b35",
        *"\U00011127\U0001133e\U00011357\U000114b0\U000114ba\U000114bd\U000115af\U00011930",
    ]
)
"""The characters that may compose with the one before them although their combining class is 0."""

INVISIBLE = re.compile(
    "[\u00ad\u061c\u115f\u1160\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\u2800\u3164\ufeff\uffa0]"
)
"""Soft hyphens, spaces without width, fillers of Hangul, the empty pattern of Braille, and marks of direction and of
byte order, which users paste without knowing."""

VISIBLE = re.compile(rf"[^\s{INVISIBLE.pattern[1:]}")

LONGEST_CLUSTER = 8
"""Characters that `align` composes together at most, so that marks without end can be cut into passages."""


def composed(text: str) -> str:
    """Returns a text in NFC."""
    return normalized("NFC", text)


def without_invisible(text: str) -> str:
    """Returns a text without invisible characters that mean nothing. Joiners stay, since emoji need them."""
    return text if text.isascii() else INVISIBLE.sub("", text)


def is_visible(text: str) -> bool:
    """Whether a text has a character that is neither whitespace nor invisible."""
    return VISIBLE.search(text) is not None


class Alignment(NamedTuple):
    """A composed text, and where its parts begin and end in the written one. All parts together are the whole text.

    `composed_starts` and `written_starts` have an element for each part, and the length of the text as their last.
    """

    text: str
    composed_starts: NDArray[np.int32]
    written_starts: NDArray[np.int32]

    def written(self, spans: NDArray[np.int32]) -> NDArray[np.int32]:
        """Returns the spans `[N, 2]` of the written text that hold these spans of the composed one."""
        first = self.composed_starts.searchsorted(spans[:, 0], "right") - 1
        end = self.composed_starts.searchsorted(spans[:, 1], "left")
        return np.stack((self.written_starts[first], self.written_starts[end]), axis=1)


def align(text: str) -> Alignment:
    """Composes a text in the smallest parts that compose independently."""
    parts: list[str] = []
    composed_lengths, written_lengths = [], []
    for section in sections(text):
        written = _parts_of(section)
        whole = [unicodedata.normalize("NFC", part) for part in written]
        parts.append("".join(whole))
        composed_lengths.append(np.fromiter(map(len, whole), np.int32))
        written_lengths.append(np.fromiter(map(len, written), np.int32))
    return Alignment("".join(parts), _starts(composed_lengths), _starts(written_lengths))


def _parts_of(section: str) -> list[str]:
    starts = [0]
    for position, character in enumerate(section):
        joins = unicodedata.combining(character) or character in JOINING
        if position and (not joins or position - starts[-1] == LONGEST_CLUSTER):
            starts.append(position)
    return [section[start:end] for start, end in pairwise([*starts, len(section)])]


def _starts(lengths: Sequence[NDArray[np.int32]]) -> NDArray[np.int32]:
    return np.concatenate((np.zeros(1, np.int32), *lengths)).cumsum(dtype=np.int32)
