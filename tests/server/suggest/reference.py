"""Finds suggestions by comparing every word of every completion: slow, and what the index must agree with."""

import re
from collections.abc import Iterator, Sequence

import numpy as np

from server.composition import composed
from server.korean import jamo
from server.lexical.tokens import fold
from server.suggest.completion import Completion, Kind, Source
from server.suggest.typed import on_other_layout, without_ending

LEFT_OUT = re.compile(r"[\s.\-]")
"""The separators that the tests use."""

JAMO, SYLLABLE = re.compile("[ㄱ-ㅣᄀ-ᇿ]"), re.compile("[가-힣]")

Expected = tuple[str, int, Kind, int]
"""Text, slot, kind and errors of a suggestion."""


def expected(documents: Sequence[tuple[int, Completion]], typed: str, limit: int) -> list[Expected]:
    """Returns the suggestions for a typed text."""
    others = on_other_layout(typed)
    found = list(_exact(documents, typed))
    if not found and others and not any(SYLLABLE.search(composed(each)) for each in [typed, *others]):
        found = list(_mistyped(documents, typed, most=1))
    for other in others:
        found += [(text, slot, Kind.KEYBOARD, 0) for text, slot, _, _ in _exact(documents, other)]
    if not found and (shorter := without_ending(typed)):
        found = list(_exact(documents, shorter))
    likely = [other for other in others if _is_korean(other) or not JAMO.search(other)]
    for reading in [typed] if _is_korean(typed) else [typed, *likely]:
        found = found or list(_mistyped(documents, reading))
    first: dict[str, Expected] = {}
    for each in found:
        first.setdefault("".join(each[0].casefold().split()), each)
    return list(first.values())[:limit]


def distance(typed: str, word: str) -> int:
    """Returns the least number of errors (optimal string alignment) between a typed text and a beginning of a word."""
    table = np.zeros((len(typed) + 1, len(word) + 1), int)
    table[:, 0], table[0] = np.arange(len(typed) + 1), np.arange(len(word) + 1)
    for row in range(1, len(typed) + 1):
        for column in range(1, len(word) + 1):
            same = typed[row - 1] == word[column - 1]
            near = [table[row - 1, column] + 1, table[row, column - 1] + 1, table[row - 1, column - 1] + (not same)]
            if min(row, column) > 1 and typed[row - 2 : row] == word[column - 2 : column][::-1]:
                near.append(table[row - 2, column - 2] + 1)
            table[row, column] = min(near)
    return int(table[-1].min())


def _exact(documents: Sequence[tuple[int, Completion]], typed: str) -> Iterator[Expected]:
    letters, characters = _letters(typed), _characters(typed)
    if not letters:
        return
    ranked = _ranked(documents)
    for later, word, slot, completion in ranked:
        if _letters(word).startswith(letters):
            yield completion.text, slot, Kind.WORD if later else Kind.START, 0
    consonants = [character in jamo.CONSONANTS for character in characters]
    if sum(consonants) > 1 or (any(consonants) and not consonants[-1]):
        for _, word, slot, completion in ranked:
            if _has_initials(_characters(word), characters):
                yield completion.text, slot, Kind.INITIALS, 0


def _mistyped(documents: Sequence[tuple[int, Completion]], typed: str, *, most: int = 2) -> Iterator[Expected]:
    letters, characters = _letters(typed), _characters(typed)
    if jamo.CONSONANTS.issuperset(characters):
        return
    allowed = min((len(letters) >= 4) + (len(letters) >= 8), most)
    ranked = [(distance(letters, _letters(word)), slot, own) for _, word, slot, own in _ranked(documents)]
    fewest = min((own for own, _, _ in ranked), default=allowed + 1)
    for own, slot, completion in ranked:
        if own == fewest <= allowed:
            yield completion.text, slot, Kind.TYPO, own


def _is_korean(typed: str) -> bool:
    syllables = len(SYLLABLE.findall(typed))
    return 0 < syllables >= 2 * len(JAMO.findall(typed))


def _ranked(documents: Sequence[tuple[int, Completion]]) -> list[tuple[bool, str, int, Completion]]:
    """Returns all words, the best first: whether each is a later one, all text from there on, slot and completion."""
    numbered = [(number, *document) for number, document in enumerate(documents)]
    numbered.sort(key=lambda each: (-_weight(each[2]), each[2].source is not Source.TITLE, len(each[2].text), each[0]))
    words = [
        (place > 0, " ".join(parts[place:]), slot, completion)
        for _, slot, completion in numbered
        for parts in [LEFT_OUT.sub(" ", completion.text).split()]
        for place in range(len(parts))
    ]
    return sorted(words, key=lambda word: word[0])


def _has_initials(word: Sequence[str], typed: Sequence[str]) -> bool:
    if len(word) < len(typed):
        return False
    for place, (own, other) in enumerate(zip(typed, word, strict=False)):
        if own in jamo.CONSONANTS:
            fits = jamo.initials(other) == own
        else:
            letters = jamo.letters(other)
            fits = letters == jamo.letters(own) or (place == len(typed) - 1 and letters.startswith(jamo.letters(own)))
        if not fits:
            return False
    return True


def _characters(text: str) -> list[str]:
    """Returns the folded characters of a text. Folded alone, a jamo stays one: compatibility jamo do not compose.

    A consonant that belongs to no syllable becomes one of them, whichever way it is written.
    """
    found = []
    for own in composed(LEFT_OUT.sub("", text)):
        alone = own if own in jamo.CONSONANTS else jamo.letters(own)
        found.append(alone if alone in jamo.CONSONANTS else fold(own))
    return list("".join(found))


def _letters(text: str) -> str:
    return jamo.letters(fold(LEFT_OUT.sub("", text)))


def _weight(completion: Completion) -> float:
    return completion.weight + 0.5 * completion.demand * max(abs(completion.weight), 1)
