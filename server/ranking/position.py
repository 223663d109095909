"""Where a page of a search's result ends, and where the next one begins.

The next page is the part of the ranking that is worse than the last hit before it. So a document that is written
meanwhile neither repeats nor skips another one, unless it changes the scores of others.
"""

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Position(NamedTuple):
    """The end of a page.

    Attributes:
        rank: Number of documents of the ranking that this page and the pages before it have passed.
        window: Number of documents that HYBRID mode takes from each leg: another one would change the scores.
        score: Score of the last document, rounded to 32 bits as in answers.
        sequence: Sequence of its version, which orders equal scores.
    """

    rank: int
    window: int
    score: float
    sequence: int

    def passed(self, ranking: Sequence[tuple[float, int]]) -> int:
        """Returns how many documents of a ranking are not worse than this position.

        Each is given as its score and the sequence of its version, best first.
        """
        return bisect_right(ranking, (-self.score, self.sequence), key=lambda each: (-rounded(each[0]), each[1]))


def rounded(score: float) -> float:
    """Returns a score as answers have it, in 32 bits."""
    return float(np.float32(score))
