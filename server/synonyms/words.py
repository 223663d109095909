"""The words of texts as synonyms are compared: folded like the terms of the lexical index, and joined where Korean is.

Koreans write `체크카드` and `체크 카드` alike, so a space next to Hangul does not count. A space between other letters
does: `pay day` is not `payday`. Each symbol such as an emoji is a separate word.
"""

import re
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

from server.lexical.tokens import IGNORED, IN_WORD, KINDS, SEPARATOR, fold

VARIATION_SELECTORS = range(0xFE00, 0xFE10)
"""Code points that choose between the text and the emoji form of the character before them."""


class _Spacing(dict[int, int | str | None]):
    """For `str.translate`: keeps what is in words, separates the rest. Threads that add a character add the same."""

    def __missing__(self, point: int) -> int | str | None:
        category = unicodedata.category(chr(point))
        kind = KINDS.get(category) or KINDS.get(category[0], SEPARATOR)
        spaced: int | str | None = " "
        if kind == IGNORED or point in VARIATION_SELECTORS:
            spaced = None
        elif category == "So":
            spaced = f" {chr(point)} "
        elif kind == IN_WORD:
            spaced = point
        self[point] = spaced
        return spaced


_SPACING = _Spacing()

_PLAIN = re.compile("[ -~가-힣]*")
_PLAIN_WORD = re.compile("[0-9a-z가-힣]+")


class Joined(NamedTuple):
    """Words in one string, with spaces only between letters that are not Hangul, and where each word begins."""

    text: str
    starts: list[int]


class Span(NamedTuple):
    """A range of characters of a text: from `start` to before `end`."""

    start: int
    end: int


def words_of(text: str) -> list[str]:
    """Returns the folded words of a text."""
    if _PLAIN.fullmatch(text):  # Most queries: the same words, in a fifth of the time.
        return _PLAIN_WORD.findall(text.lower())
    return fold(text).translate(_SPACING).split()


def joined(words: Sequence[str]) -> Joined:
    """Joins words as they are compared."""
    parts: list[str] = []
    starts: list[int] = []
    length, before_hangul = 0, True
    for word in words:
        if not (before_hangul or is_hangul(word[0])):
            parts.append(" ")
            length += 1
        starts.append(length)
        parts.append(word)
        length += len(word)
        before_hangul = is_hangul(word[-1])
    return Joined("".join(parts), starts)


def key_of(text: str) -> str:
    """Returns the form of a phrase in which it is compared."""
    return joined(words_of(text)).text


def is_hangul(character: str) -> bool:
    """Returns whether a folded character is a syllable or a letter of Hangul."""
    return "\uac00" <= character <= "\ud7a3" or "\u1100" <= character <= "\u11ff"


def spans_of(text: str, words: Sequence[str]) -> list[Span] | None:
    """Returns where its first words, which are folded, are in a text; None if folding has made several words of one."""
    spans: list[Span] = []
    start: int | None = None
    for position, character in enumerate(text):
        spaced = _SPACING[ord(character)]
        if start is not None and isinstance(spaced, str):
            spans.append(Span(start, position))
            start = None
        if isinstance(spaced, int) and start is None:
            start = position
        elif isinstance(spaced, str) and spaced != " ":
            spans.append(Span(position, position + 1))
    if start is not None:
        spans.append(Span(start, len(text)))
    spans = spans[: len(words)]
    return spans if [words_of(text[start:end]) for start, end in spans] == [[word] for word in words] else None
