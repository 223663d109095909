"""Cuts long texts into sections: the functions that normalise and tokenize a text hold the GIL, so that all calls wait.

`unicodedata.normalize` even takes quadratic time for a run of combining marks:
40,000 of them take a second. So no such function gets more than one section at a time.
"""

import unicodedata
from collections.abc import Iterator
from typing import Literal

SECTION_CHARACTERS = 1024
"""Maximum characters of a section: two milliseconds of work. The event loop may wait for several in a row."""

SEARCHED_CHARACTERS = 256
"""Distance from the end of a section within which a good place for the cut is searched."""

COMPOSED_CHARACTERS = 4
"""Characters before a cut that could compose with the one after it."""


def sections(text: str, *, characters: int = SECTION_CHARACTERS) -> Iterator[str]:
    """Yields the sections of a text, in order and without gaps; together they are the text.

    A section begins with whitespace if there is any near the end of the one before. Else it begins with a character
    that does not compose with those before it, such as a Hangul syllable. Only a text without either is cut anywhere.
    """
    start = 0
    while len(text) - start > characters:
        end = _cut(text, start, start + characters)
        yield text[start:end]
        start = end
    yield text[start:]


def normalized(form: Literal["NFC", "NFKC"], text: str) -> str:
    """Returns a text in a normal form of Unicode, in linear time.

    The result is that of `unicodedata.normalize`, except in a text that has no good place for a cut (see `sections`).
    """
    if len(text) <= SECTION_CHARACTERS:
        return unicodedata.normalize(form, text)
    return "".join(unicodedata.normalize(form, section) for section in sections(text))


def _cut(text: str, start: int, end: int) -> int:
    """Returns the best position for a cut at `end` or shortly before it, but after `start`."""
    candidates = range(end, max(start, end - SEARCHED_CHARACTERS), -1)
    for position in candidates:
        if text[position].isspace():
            return position
    for position in candidates:
        if _separate(text[max(0, position - COMPOSED_CHARACTERS) : position], text[position]):
            return position
    return end


def _separate(before: str, character: str) -> bool:
    """Returns whether normalising a text changes nothing across the place between two of its parts."""
    if unicodedata.combining(character):
        return False
    joined = unicodedata.normalize("NFKC", before + character)
    return joined == unicodedata.normalize("NFKC", before) + unicodedata.normalize("NFKC", character)
