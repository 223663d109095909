"""Aligns a folded text with the written one, so that a place in the folded text can be shown in the written one.

A text is folded in its smallest parts that fold independently: a character with the marks and conjoining jamo after it.
Most texts have only plain characters, which fold to one character each; NumPy folds these at once.
"""

import functools
import unicodedata
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from server.composition import JOINING, Alignment
from server.lexical.tokens import CODE_POINTS, fold

KNOWN = 2**14
"""Parts and characters whose folding is remembered. The texts of a catalogue have a few thousand different ones."""

LONGEST_KNOWN = 4
"""Characters of the longest part that is remembered: a syllable in jamo has three."""


NOT_PLAIN = 2**32 - 1


def aligned_fold(text: str) -> Alignment:
    """Folds a text; returns the folded text, and where its parts begin in both texts."""
    if (plain := _plain_fold(text)) is not None:
        places = np.arange(len(text) + 1, dtype=np.int32)
        return Alignment(plain, places, places)
    parts = list(_parts_of(text))
    folded = [_folded(part) if len(part) <= LONGEST_KNOWN else fold(part) for part in parts]
    lengths = np.array([[0, *map(len, each)] for each in (folded, parts)], dtype=np.int32)
    folded_starts, written_starts = lengths.cumsum(axis=1, dtype=np.int32)
    return Alignment("".join(folded), folded_starts, written_starts)


def _parts_of(text: str) -> Iterator[str]:
    starts = [position for position, character in enumerate(text) if not position or not _joins(character)]
    for start, end in pairwise([*starts, len(text)]):
        yield text[start:end]


@functools.lru_cache(maxsize=KNOWN)
def _joins(character: str) -> bool:
    """Returns whether a character may compose with the one before it, such as a mark, a vowel or a final consonant."""
    first = unicodedata.normalize("NFKC", character)[0]  # Letters of compatibility become conjoining jamo.
    return unicodedata.combining(first) > 0 or first in JOINING


@functools.lru_cache(maxsize=KNOWN)
def _folded(part: str) -> str:
    return fold(part)


def _plain_fold(text: str) -> str | None:
    """Folds a text of plain characters; returns None if it has others."""
    if text.isascii():
        return fold(text)
    points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    known = _known_folds()
    folded = known[points]
    if not folded.all():
        for point in np.unique(points[folded == 0]).tolist():
            character = chr(point)
            one = fold(character)
            known[point] = ord(one) or NOT_PLAIN if len(one) == 1 and not _joins(character) else NOT_PLAIN
        folded = known[points]
    if (folded == NOT_PLAIN).any():
        return None
    return folded.tobytes().decode("utf-32-le", "surrogatepass")


@functools.cache
def _known_folds() -> NDArray[np.uint32]:
    """Returns what each plain character folds to, `NOT_PLAIN` for others, 0 for those that have not occurred.

    Threads that add the same one write the same value.
    """
    return np.zeros(CODE_POINTS, dtype=np.uint32)
