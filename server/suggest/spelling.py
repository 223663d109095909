"""Spells a text in the letters by which typed texts and completions are compared.

A text is folded like the terms of a search (width, case, composition), and each Hangul syllable becomes the letters
that type it. Only letters, marks, numbers and symbols such as emoji count. Spaces and punctuation separate words, and
are left out: `카드 분실` and `카드분실` have the same letters. An unfinished syllable is a prefix of the finished one.
"""

import functools
import re
import unicodedata
from collections.abc import Iterable
from typing import NamedTuple

from server.composition import JOINING, composed
from server.korean import jamo
from server.lexical.tokens import fold

LONGEST_TEXT = 256
"""Code points of a text that are spelled. What follows neither fits a typed text nor has a word's beginning."""

BEYOND = 0x10000
STAND_INS = range(0xE000, 0xF900)
"""The code points for private use. One of them stands for each character beyond U+FFFF, such as an emoji, so that every
letter has 16 bits. Two such characters may have the same, but few of them occur."""

COMPATIBILITY_JAMO = re.compile("[ㄱ-ㅣ]")

VOICED_MARK = re.compile("[\uff9e\uff9f]")
"""Half-width marks of Katakana: they join the character before, once the width is folded."""


class Character(NamedTuple):
    """The letters of one character, with the marks that follow it.

    Attributes:
        letters: Its letters.
        initials: Its first consonant if it is a Hangul syllable, its letters otherwise.
        separates: Whether a word ends before it and another begins after it.
    """

    letters: str
    initials: str
    separates: bool


class Word(NamedTuple):
    """Where a word begins: in the written text (code points), in its letters and in its initials."""

    place: int
    letter: int
    initial: int


class Spelling(NamedTuple):
    """The letters of a text, its initials, and where its words begin in both."""

    letters: str
    initials: str
    words: tuple[Word, ...]


def spelling(text: str) -> Spelling:
    """Returns the spelling of the first `LONGEST_TEXT` code points of a text."""
    letters: list[str] = []
    initials: list[str] = []
    words: list[Word] = []
    letter_count = initial_count = 0
    between = True
    for start, _, written in characters(text):
        character = character_of(written)
        between = between or character.separates
        if character.letters:
            if between:
                words.append(Word(start, letter_count, initial_count))
            between = character.separates
            letters.append(character.letters)
            initials.append(character.initials)
            letter_count += len(character.letters)
            initial_count += len(character.initials)
    return Spelling("".join(letters), "".join(initials), tuple(words))


def characters(text: str, start: int = 0) -> Iterable[tuple[int, int, str]]:
    """Returns each character of a text with the marks that join it, and where both begin and end, from `start` on."""
    end = min(len(text), LONGEST_TEXT)
    if text.isascii() or (unicodedata.is_normalized("NFC", text) and not VOICED_MARK.search(text)):
        return zip(range(start, end), range(start + 1, end + 1), text[start:end], strict=True)
    starts = [place for place in range(start, end) if place == start or not _joins(text[place])]
    ends = [*starts[1:], end] if starts else []
    return ((first, after, composed(text[first:after])) for first, after in zip(starts, ends, strict=True))


@functools.lru_cache(maxsize=1 << 16)
def character_of(written: str) -> Character:
    """Returns what a character counts for."""
    kept, separates = [], False
    # Folding would take pairs of jamo such as ㅄ for one old letter.
    for character in written if COMPATIBILITY_JAMO.match(written) else fold(written):
        category = unicodedata.category(character)
        if category[0] in "LMN" or category == "So":
            point = ord(character)
            kept.append(character if point < BEYOND else chr(STAND_INS[point % len(STAND_INS)]))
        elif category != "Cf":
            separates = True
    folded = "".join(kept)
    return Character(jamo.letters(folded), jamo.initials(folded), separates)


def end_after(text: str, start: int, count: int, *, by_initials: bool = False) -> int:
    """Returns where the character ends that has the last of so many letters, or initials, from `start` on."""
    end = start
    for _, after, written in characters(text, start):
        if count <= 0:
            break
        character = character_of(written)
        if character.letters:
            count -= len(character.initials if by_initials else character.letters)
            end = after
    return end


def has_letters(text: str, start: int, letters: str) -> bool:
    """Returns whether a text has these letters from `start` on."""
    at = 0
    for _, _, written in characters(text, start):
        own = character_of(written).letters
        if not letters.startswith(own, at):
            return own.startswith(letters[at:])
        at += len(own)
    return at >= len(letters)


def _joins(character: str) -> bool:
    return bool(unicodedata.combining(character)) or character in JOINING or VOICED_MARK.match(character) is not None
