"""The speed of a worker, measured on the batches that it has done, and the tokens of texts not yet tokenized."""

import math

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


class Speed:
    """Measured speed of encoding and searching, on a CPU that others may use as well.

    The estimates start at 0: until the first batch, every call is admitted. An observation counts in proportion to its
    work, so that a first, cold query has little weight. Workers learn without a lock: of two observations at the same
    time, one may be lost.

    Attributes:
        seconds_per_token: Time of one worker for a token of the usual batches.
        full_batch_seconds_per_token: The same for a token of batches with at least `FULL_BATCH_TOKENS`.
        tokens_per_character: Estimate for texts not yet tokenized, without the tokens that every text has.
    """

    def __init__(self) -> None:
        self.seconds_per_token = 0.0
        self.full_batch_seconds_per_token = 0.0
        self.tokens_per_character = 0.0
        self._search_seconds: dict[tuple[Mode, bool], float] = {}

    def doubt(self) -> None:
        """Assumes a slightly faster worker, after a call was rejected although the queue was empty.

        Otherwise an estimate that rejects every call, such as after a pause of the machine, would never be corrected.
        """
        self.seconds_per_token *= DOUBT_FACTOR
        self.full_batch_seconds_per_token *= DOUBT_FACTOR
        self._search_seconds = {kind: DOUBT_FACTOR * each for kind, each in self._search_seconds.items()}

    def search_tokens(self, options: SearchOptions) -> int:
        """Returns the number of tokens that a worker could encode in the time of a search; at least 1."""
        if not self.seconds_per_token:
            return 1
        return math.ceil(max(1.0, self._search_seconds.get(options.kind, 0.0) / self.seconds_per_token))

    def learn(self, *, tokens: int, tokens_per_character: float, seconds: float) -> None:
        """Learns from the encoded texts of a batch; `seconds` is its time without searches."""
        weight = _weight(tokens / MEMORY_TOKENS + seconds / MEMORY_SECONDS)
        self.seconds_per_token += weight * (seconds / tokens - self.seconds_per_token)
        self.tokens_per_character += weight * (tokens_per_character - self.tokens_per_character)
        if tokens >= FULL_BATCH_TOKENS:
            self.full_batch_seconds_per_token += weight * (seconds / tokens - self.full_batch_seconds_per_token)

    def learn_search(self, options: SearchOptions, *, seconds: float) -> None:
        """Learns from a search, which took `seconds` of a worker."""
        weight = _weight(1 / MEMORY_SEARCHES + seconds / MEMORY_SECONDS)
        known = self._search_seconds.get(options.kind, 0.0)
        self._search_seconds[options.kind] = known + weight * (seconds - known)
        self.seconds_per_token = self.seconds_per_token or UNMEASURED_SECONDS_PER_TOKEN


def _weight(work: float) -> float:
    """Returns the weight of an observation with this share of the work that is remembered."""
    return -math.expm1(-work)
