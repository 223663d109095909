"""Replaces words that no document has by words that differ in one letter of one syllable: 실어급여 by 실업급여.

A misspelled word finds nothing as a whole, and few of its pairs do. So a replacement hardly takes documents away.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import chain, pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from server.korean.jamo import FINALS, FIRST_SYLLABLE, INITIALS, VOWELS
from server.lexical.tokens import code_of_pair, code_of_word, codes_with, fold

MOST_CHARACTERS = 24
"""Characters of a query that is respelled at most. In longer ones, the other words find as much."""

MOST_SYLLABLES = 4
"""Syllables that are compared with others at most: the first ones that may be wrong."""

CLEAR = 2
"""Least ratio of the number of documents with a replacement to that with the next one."""

WORD = re.compile("[가-힣]{2,}")

OF_VOWEL = len(FINALS) + 1
OF_INITIAL = len(VOWELS) * OF_VOWEL
CHANGED = np.repeat([0, 1, 2], [len(INITIALS), len(VOWELS), OF_VOWEL])
"""The part of each other syllable that changes: its initial, vowel or final."""

STEPS = np.concatenate((np.arange(len(INITIALS)) * OF_INITIAL, np.arange(len(VOWELS)) * OF_VOWEL, np.arange(OF_VOWEL)))
"""The code point of each, above that of the syllable with the first initial, vowel or final."""

Count = Callable[[NDArray[np.uint64]], NDArray[np.int64]]
"""Returns how many documents have each term, given by its code."""


class Wrong(NamedTuple):
    """A syllable that may be wrong: its word, and its place in it."""

    word: str
    place: int


def respelled(query: str, count: Count) -> str:
    """Returns a query with misspelled words replaced, folded if there are any."""
    if query.isascii() or len(query) > MOST_CHARACTERS:
        return query
    folded = fold(query)
    wrong = _wrong(list(dict.fromkeys(WORD.findall(folded))), count)[:MOST_SYLLABLES]
    if not wrong:
        return query
    points = _one_letter_away([word[place] for word, place in wrong])
    documents = count(codes_with(wrong, points).ravel()).reshape(points.shape)
    meant = _meant(wrong, points, documents)
    return WORD.sub(lambda word: meant.get(word[0], word[0]), folded) if meant else query


def _wrong(words: Sequence[str], count: Count) -> list[Wrong]:
    """Returns the syllables that may be wrong: those that all pairs have which no document has, in unknown words."""
    pairs = [[code_of_pair(*pair) for pair in pairwise(word)] for word in words]
    codes = [code_of_word(word) for word in words] + list(chain.from_iterable(pairs))
    documents = iter(count(np.array(codes, np.uint64)).tolist())
    known = [next(documents) for _ in words]
    found = []
    for word, is_known, own in zip(words, known, pairs, strict=True):
        unknown = [place for place, has in enumerate([next(documents) for _ in own]) if not has]
        if unknown and not is_known:
            found += [Wrong(word, place) for place in range(unknown[-1], unknown[0] + 2)]
    return found


def _meant(wrong: Sequence[Wrong], points: NDArray[np.int64], documents: NDArray[np.int64]) -> dict[str, str]:
    """Returns the replacements of words.

    Args:
        wrong: The wrong syllables.
        points: Code points of other syllables `[wrong, others]`.
        documents: Number of documents that have the word with each of them.
    """
    found: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for row, column in np.argwhere(documents).tolist():
        word, place = wrong[row]
        found[word].append((documents[row, column], f"{word[:place]}{chr(points[row, column])}{word[place + 1 :]}"))
    meant = {}
    for word, others in found.items():
        (most, best), *rest = sorted(others, reverse=True)
        if not rest or most >= CLEAR * rest[0][0]:
            meant[word] = best
    return meant


def _one_letter_away(syllables: Sequence[str]) -> NDArray[np.int64]:
    """Returns the code points `[syllables, others]` of syllables with another initial, vowel or final, and its own."""
    without = []
    for point in map(ord, syllables):
        initial, rest = divmod(point - FIRST_SYLLABLE, OF_INITIAL)
        vowel, final = divmod(rest, OF_VOWEL)
        without.append((point - initial * OF_INITIAL, point - vowel * OF_VOWEL, point - final))
    points: NDArray[np.int64] = np.array(without)[:, CHANGED] + STEPS
    return points
