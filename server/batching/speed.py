"""How fast a worker is, learnt from the batches that it has done."""

import math

MEMORY_TOKENS = 4000
MEMORY_SECONDS = 0.5
"""Work after which an observation has faded to a third, counted both ways: a slow model does few tokens."""

DOUBTED_SHARE = 0.9


class Speed:
    """Measured speed, with whoever else uses the CPU: encoding, searching and handing over.

    It begins at 0, as if everything were free, and is learnt in proportion to what was done: a first query, for which
    everything is still cold, says little. Workers learn without a lock: of two at once, one may be forgotten.

    Attributes:
        seconds_per_token: Time of one worker.
        tokens_per_character: What texts come to, as far as can be known before they are tokenized.
    """

    def __init__(self) -> None:
        self.seconds_per_token = 0.0
        self.tokens_per_character = 0.0

    def tokens_within(self, seconds: float) -> float:
        """Returns how many tokens a worker encodes and searches in this time; infinity while that is unknown."""
        return seconds / self.seconds_per_token if self.seconds_per_token else math.inf

    def doubt(self) -> None:
        """Takes the worker for a little faster: somebody was refused who had nobody before him.

        A speed at which nobody is let in, after a pause of the machine for one, could never be learnt to be wrong.
        """
        self.seconds_per_token *= DOUBTED_SHARE

    def learn(self, *, tokens: int, tokens_per_character: float, seconds: float) -> None:
        """Learns from a batch of which something had to be encoded: so many tokens, searches of known vectors too."""
        weight = -math.expm1(-(tokens / MEMORY_TOKENS + seconds / MEMORY_SECONDS))
        self.seconds_per_token += weight * (seconds / tokens - self.seconds_per_token)
        self.tokens_per_character += weight * (tokens_per_character - self.tokens_per_character)
