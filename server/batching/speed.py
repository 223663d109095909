"""The speed of a worker, measured on the batches that it has done."""

import math

MEMORY_TOKENS = 4000
MEMORY_SECONDS = 0.5
"""After this much new work an observation keeps a third of its weight. Both count: a slow model has few tokens."""

DOUBT_FACTOR = 0.9


class Speed:
    """Measured speed of encoding, searching and answering, on a CPU that others may use as well.

    The estimate starts at 0: until the first batch, every call is admitted. An observation counts in proportion to its
    work, so that a first, cold query has little weight. Workers learn without a lock: of two observations at the same
    time, one may be lost.

    `seconds_per_token` is the time of one worker, `tokens_per_character` the estimate for texts not yet tokenized.
    """

    def __init__(self) -> None:
        self.seconds_per_token = 0.0
        self.tokens_per_character = 0.0

    def doubt(self) -> None:
        """Assumes a slightly faster worker, after a call was rejected although the queue was empty.

        Otherwise an estimate that rejects every call, such as after a pause of the machine, would never be corrected.
        """
        self.seconds_per_token *= DOUBT_FACTOR

    def learn(self, *, tokens: int, tokens_per_character: float, seconds: float) -> None:
        """Learns from a batch with encoded texts; `tokens` includes `SEARCH_TOKENS` for each other text."""
        weight = -math.expm1(-(tokens / MEMORY_TOKENS + seconds / MEMORY_SECONDS))
        self.seconds_per_token += weight * (seconds / tokens - self.seconds_per_token)
        self.tokens_per_character += weight * (tokens_per_character - self.tokens_per_character)
