"""The statistics of terms over all shards, at one sequence."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from server.lexical.statistics import TermStatistics, Totals
from server.lexical.tokens import code_of_pair, code_of_word, fold, terms_of
from server.sharding.messages import TermCounts

KNOWN_TERMS = 2**18
"""Terms whose counts are kept."""

LONGEST_ENDING = 3
"""Characters at the end of a word that readings may take for an ending."""

CountAll = Callable[[NDArray[np.uint64]], Sequence[TermCounts]]
"""Asks all shards for the counts of terms."""


class SummedStatistics(TermStatistics):
    """Sums of the counts of all shards. It keeps them, so that most queries ask for all their terms at once."""

    def __init__(self, count: CountAll) -> None:
        self._count = count
        self._totals: Totals | None = None
        self._known: dict[int, int] = {}

    @property
    def totals(self) -> Totals:
        """The number of documents, and their length."""
        if self._totals is None:
            self._fetch([])
        assert self._totals is not None, "it was fetched"
        return self._totals

    def counts_of(self, terms: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Returns for each term how many documents have it."""
        codes = terms.tolist()
        known = self._known  # Another thread may replace it, but never removes a term from it.
        missing = [code for code in dict.fromkeys(codes) if code not in known]
        if missing:
            if len(known) + len(missing) > KNOWN_TERMS:
                known, missing = {}, list(dict.fromkeys(codes))
                self._known = known
            known.update(self._fetch(missing))
        return np.array([known[code] for code in codes], np.int64)

    def expect(self, text: str) -> None:
        """Asks for all terms that reading, respelling and searching a typed text usually need."""
        words = fold(text).split()
        codes = dict.fromkeys(terms_of([text])[0].tolist())
        for before, after in pairwise(words):
            codes.update(dict.fromkeys(terms_of([before + after])[0].tolist()))
            codes[code_of_pair(before[-1], after[0])] = None
        for word in words:
            codes[code_of_word(word)] = None
            for length in range(1, min(LONGEST_ENDING + 1, len(word))):
                codes[code_of_word(word[:-length])] = None
        if codes:
            self.counts_of(np.array(list(codes), np.uint64))

    def _fetch(self, codes: Sequence[int]) -> dict[int, int]:
        answers = self._count(np.array(codes, np.uint64))
        documents, lengths = zip(*(each.totals for each in answers), strict=True)
        self._totals = Totals(sum(documents), sum(lengths))
        return dict(zip(codes, np.sum([each.counts for each in answers], axis=0).tolist(), strict=True))
