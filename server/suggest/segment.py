"""Segments of the index: the completions of some documents, in runs by letters and by initials."""

from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from server.suggest.completion import Completion
from server.suggest.run import BYTES_PER_LETTER, LATER_WORD, NUMBER_MASK, Run, encoded, numbers_of, rank_of_first_word
from server.suggest.spelling import spelling
from server.suggest.trie import Trie

KEY_LETTERS, KEY_INITIALS = 32, 12
"""Letters of a word's beginning by which it is sorted. Further ones are read in the text."""

WITHOUT_TRIE = 2048
"""Most words of a segment that has no trie: all of them are compared, if there may be typing errors."""

MOST_WORDS = 16
"""Words of a completion whose beginnings are found."""


class Segment(NamedTuple):
    """Runs of the same words, and the trie of their letters. A short segment needs none."""

    letters: Run
    initials: Run
    trie: Trie | None

    @classmethod
    def of(cls, letters: Run, initials: Run) -> Self:
        """Returns the segment of two runs."""
        return cls(letters, initials, Trie.of(letters.keys) if len(letters.keys) > WITHOUT_TRIE else None)

    def reweighed(self, weights: NDArray[np.uint64]) -> Self:
        """Returns the segment with other weights; see `Run.reweighed`."""
        return self._replace(letters=self.letters.reweighed(weights), initials=self.initials.reweighed(weights))


class Words:
    """Collects the words of completions for a new segment."""

    def __init__(self) -> None:
        self._letters: list[bytes] = []
        self._initials: list[bytes] = []
        self._ranks: list[int] = []
        self._places: list[int] = []

    def add(self, completion: Completion, number: int, weight: int) -> None:
        """Adds the words of a completion, for which `weight_bits` returns `weight`."""
        spelled = spelling(completion.text)
        rank = rank_of_first_word(completion, number, weight)
        for word in spelled.words[:MOST_WORDS]:
            self._letters.append(encoded(spelled.letters[word.letter : word.letter + KEY_LETTERS]))
            self._initials.append(encoded(spelled.initials[word.initial : word.initial + KEY_INITIALS]))
            self._ranks.append(rank)
            self._places.append(word.place)
            rank |= LATER_WORD

    def segment(self) -> Segment:
        """Returns the segment of the words added."""
        ranks, places = np.array(self._ranks, np.uint64), np.array(self._places, np.uint16)
        letters = Run.of(np.array(self._letters, f"S{BYTES_PER_LETTER * KEY_LETTERS}"), ranks, places)
        initials = Run.of(np.array(self._initials, f"S{BYTES_PER_LETTER * KEY_INITIALS}"), ranks, places)
        return Segment.of(letters, initials)


def merged(segments: Sequence[Segment], new_numbers: NDArray[np.int64] | None = None) -> Segment:
    """Returns one segment of several.

    Args:
        segments: The segments.
        new_numbers: New number of each completion, or -1 if its words are left out; None keeps all.
    """
    letters = _joined([segment.letters for segment in segments], new_numbers)
    initials = _joined([segment.initials for segment in segments], new_numbers)
    return Segment.of(letters, initials)


def _joined(runs: Sequence[Run], new_numbers: NDArray[np.int64] | None) -> Run:
    keys = np.concatenate([run.keys for run in runs])
    ranks = np.concatenate([run.ranks for run in runs])
    places = np.concatenate([run.places for run in runs])
    if new_numbers is not None:
        numbers = new_numbers[numbers_of(ranks)]
        kept = numbers >= 0
        keys, places = keys[kept], places[kept]
        ranks = ranks[kept] & ~np.uint64(NUMBER_MASK) | numbers[kept].astype(np.uint64)
    return Run.of(keys, ranks, places)
