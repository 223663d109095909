"""Where a page of a search's result ends, and where the next one begins.

The next page is the part of the ranking that is worse than the last hit before it. So a document that is written
meanwhile neither repeats nor skips another one, unless it changes the scores of others.

A ranking has tiers, which follow each other whatever the scores: first the pinned documents, each in its own tier from
0 on, then the candidates, then those that are too deep to be boosted, then the buried ones. Scores order each tier.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

MAX_PINNED_HITS = 100
"""Maximum pinned documents of a ranking."""

CANDIDATE, DEEP, BURIED = range(MAX_PINNED_HITS, MAX_PINNED_HITS + 3)
"""The tiers after those of pinned documents. Without rules, all documents are candidates."""


class Position(NamedTuple):
    """The end of a page.

    Attributes:
        rank: Number of documents of the ranking that this page and the pages before it have passed.
        window: Number of documents that HYBRID mode takes from each leg: another one would change the scores.
        score: Score of the last document, rounded to 32 bits as in answers.
        sequence: Sequence of its version, which orders equal scores.
        tier: Its tier.
        seconds: The time of the first page, in seconds since 1970, which decides what rules do.
    """

    rank: int
    window: int
    score: float
    sequence: int
    tier: int = CANDIDATE
    seconds: int = 0

    def passed(self, ranking: Sequence[tuple[int, float, int]]) -> int:
        """Returns how many documents of a ranking are not worse than this position.

        Each is given as its tier, its score and the sequence of its version, best first.
        """
        # A pinned document is alone in its tier, whatever its score and its version are by now.
        order = (-self.score, self.sequence) if self.tier >= CANDIDATE else (math.inf, 0)
        return bisect_right(ranking, (self.tier, *order), key=lambda each: (each[0], -rounded(each[1]), each[2]))


def rounded(score: float) -> float:
    """Returns a score as answers have it, in 32 bits."""
    return float(np.float32(score))
