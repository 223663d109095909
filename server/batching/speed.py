"""The speed of a worker, measured on the batches that it has done, and the tokens of texts not yet tokenized."""

import math
from collections import defaultdict

from server.ranking.options import Mode, SearchOptions

MEMORY_TOKENS = 4000
MEMORY_SECONDS = 0.5
"""After this much new work an observation keeps a third of its weight. Both count: a slow model has few tokens."""

MEMORY_SEARCHES = 50
"""The same for the time of searches."""

FULL_BATCH_TOKENS = 32
"""A batch with as many tokens shows the speed of large calls. Smaller batches take longer for each token."""

UNMEASURED_SECONDS_PER_TOKEN = 0.0001
"""The speed that is assumed while only searches without an encoded text were measured."""

DOUBT_FACTOR = 0.9
LEAST_SHARE = 0.1
"""A doubt lowers an estimate by this factor, and all doubts together to this share of the observations at most.

Without the bound, callers with impossible deadlines would lower the speed of encoding to nothing while every vector is
cached, and a search would count as more tokens than any queue may hold.
"""


class Estimate:
    """A mean of observations that starts at 0; recent ones count more."""

    def __init__(self) -> None:
        self.value = 0.0
        self._observed = 0.0  # The mean without doubts.

    def learn(self, observed: float, *, weight: float) -> None:
        """Learns from an observation with a weight between 0 and 1."""
        self.value += weight * (observed - self.value)
        self._observed += weight * (observed - self._observed)

    def doubt(self) -> None:
        """Lowers the estimate, which may be too high."""
        self.value = max(DOUBT_FACTOR * self.value, LEAST_SHARE * self._observed)


class Speed:
    """Measured speed of encoding and searching, on a CPU that others may use as well.

    The estimates start at 0: until the first batch, every call is admitted. An observation counts in proportion to its
    work, so that a first, cold query has little weight. Workers learn without a lock: of two observations at the same
    time, one may be lost.

    Attributes:
        per_token: Seconds of one worker for a token of the usual batches.
        per_token_of_full_batch: The same for batches with at least `FULL_BATCH_TOKENS`.
        tokens_per_character: Estimate for texts not yet tokenized, without the tokens that every text has.
    """

    def __init__(self) -> None:
        self.per_token = Estimate()
        self.per_token_of_full_batch = Estimate()
        self.tokens_per_character = 0.0
        self._searches: defaultdict[tuple[Mode, bool, bool], Estimate] = defaultdict(Estimate)

    def doubt(self) -> None:
        """Assumes a slightly faster worker, after a call was rejected although the queue was empty.

        Otherwise an estimate that rejects every call, such as after a pause of the machine, would never be corrected.
        """
        for estimate in (self.per_token, self.per_token_of_full_batch, *self._searches.values()):
            estimate.doubt()

    def search_tokens(self, options: SearchOptions) -> int:
        """Returns the number of tokens that a worker could encode in the time of a search; at least 1."""
        if not self.per_token.value:
            return 1
        return math.ceil(max(1.0, self._searches[options.kind].value / self.per_token.value))

    def learn(self, *, tokens: int, tokens_per_character: float, seconds: float) -> None:
        """Learns from the encoded texts of a batch; `seconds` is its time without searches."""
        weight = _weight(tokens / MEMORY_TOKENS + seconds / MEMORY_SECONDS)
        self.per_token.learn(seconds / tokens, weight=weight)
        self.tokens_per_character += weight * (tokens_per_character - self.tokens_per_character)
        if tokens >= FULL_BATCH_TOKENS:
            self.per_token_of_full_batch.learn(seconds / tokens, weight=weight)

    def learn_search(self, options: SearchOptions, *, seconds: float) -> None:
        """Learns from a search, which took `seconds` of a worker."""
        self._searches[options.kind].learn(seconds, weight=_weight(1 / MEMORY_SEARCHES + seconds / MEMORY_SECONDS))
        if not self.per_token.value:
            self.per_token.learn(UNMEASURED_SECONDS_PER_TOKEN, weight=1)


def _weight(work: float) -> float:
    """Returns the weight of an observation with this share of the work that is remembered."""
    return -math.expm1(-work)
