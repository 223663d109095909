"""The room that is left in an answer while it is built, so that no answer takes much more memory than its bound."""

from server.errors import ResponseTooLarge
from server.rpc.limits import RESERVED_BYTES

RESPONSE_BYTES = 512
"""Most bytes of a `SearchResponse` beside its hits."""

WARNING_BYTES = 8
"""Most bytes of a warning beside its text."""

FACET_BYTES = 8
"""Most bytes of a facet's length in the answer."""

HIT_BYTES = 32
"""Most bytes of a hit's scores, and of its length in the answer."""


class Room:
    """Counts the bytes of one answer."""

    def __init__(self, max_bytes: int, remedy: str) -> None:
        """Takes the bound of the answer, and the advice to a caller whose answer exceeds it."""
        self._max_bytes = max_bytes
        self._remedy = remedy
        self.used_bytes = RESERVED_BYTES

    def take(self, size_bytes: int) -> None:
        """Counts a part of the answer; raises ResponseTooLarge if it does not fit."""
        self.used_bytes += size_bytes
        if self.used_bytes > self._max_bytes:
            raise ResponseTooLarge(self._max_bytes, self._remedy)
