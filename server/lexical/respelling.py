"""Replaces a word that no document has by one that differs in one letter of one syllable: 실어급여 by 실업급여.

A misspelled word finds nothing as a whole, and few of its pairs do. So a replacement hardly takes documents away. Only
one word of a query is replaced: several unknown ones are nearly always words that the catalogue lacks, and to look for
others like them takes most of the time.
"""

import re
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
"""Syllables of the word that are compared with others at most: the first ones that may be wrong."""

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
    """A word with one wrong syllable, and the places where that may be."""

    word: str
    places: Sequence[int]


def respelled(query: str, count: Count) -> str:
    """Returns a query with its misspelled word replaced, folded if there is one."""
    if query.isascii() or len(query) > MOST_CHARACTERS:
        return query
    folded = fold(query)
    wrong = _wrong(list(dict.fromkeys(WORD.findall(folded))), count)
    if wrong is None:
        return query
    points = _one_letter_away([wrong.word[place] for place in wrong.places])
    codes = codes_with([(wrong.word, place) for place in wrong.places], points)
    meant = _meant(wrong, points, count(codes.ravel()).reshape(points.shape))
    return WORD.sub(lambda word: meant if word[0] == wrong.word else word[0], folded) if meant else query


def _wrong(words: Sequence[str], count: Count) -> Wrong | None:
    """Returns the unknown word with the syllables of all its pairs that no document has; None if there are several."""
    pairs = [[code_of_pair(*pair) for pair in pairwise(word)] for word in words]
    codes = [code_of_word(word) for word in words] + list(chain.from_iterable(pairs))
    documents = iter(count(np.array(codes, np.uint64)).tolist())
    known = [next(documents) for _ in words]
    found: Wrong | None = None
    for word, is_known, own in zip(words, known, pairs, strict=True):
        unknown = [place for place, has in enumerate([next(documents) for _ in own]) if not has]
        if unknown and not is_known:
            if found is not None:
                return None
            found = Wrong(word, range(unknown[-1], unknown[0] + 2)[:MOST_SYLLABLES])
    return found if found and found.places else None


def _meant(wrong: Wrong, points: NDArray[np.int64], documents: NDArray[np.int64]) -> str | None:
    """Returns the replacement of a word; None if there is none, or several are as likely.

    Args:
        wrong: The word.
        points: Code points of other syllables `[places, others]`.
        documents: Number of documents that have the word with each of them.
    """
    word, places = wrong
    found = []
    for row, column in np.argwhere(documents).tolist():
        before, after = word[: places[row]], word[places[row] + 1 :]
        found.append((documents[row, column], f"{before}{chr(points[row, column])}{after}"))
    if not found:
        return None
    (most, best), *rest = sorted(found, reverse=True)
    return best if not rest or most >= CLEAR * rest[0][0] else None


def _one_letter_away(syllables: Sequence[str]) -> NDArray[np.int64]:
    """Returns the code points `[syllables, others]` of syllables with another initial, vowel or final, and its own."""
    without = []
    for point in map(ord, syllables):
        initial, rest = divmod(point - FIRST_SYLLABLE, OF_INITIAL)
        vowel, final = divmod(rest, OF_VOWEL)
        without.append((point - initial * OF_INITIAL, point - vowel * OF_VOWEL, point - final))
    points: NDArray[np.int64] = np.array(without)[:, CHANGED] + STEPS
    return points
