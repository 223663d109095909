"""An LRU cache of query vectors, bounded by memory."""

from collections import OrderedDict
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from server.encoding.tokenizer import Tokens

OVERHEAD_BYTES = 500
"""Memory of an entry besides its numbers and characters: Python's objects and the entries of the table."""


class CacheKey(NamedTuple):
    """All that a vector depends on."""

    revision: str
    prefix: str
    text: str


class CachedQuery(NamedTuple):
    """The tokens and the vector of a text."""

    tokens: Tokens
    vector: NDArray[np.float32]


class EmbeddingCache:
    """Vectors by key. A cache of 0 bytes stays empty. Used on the event loop only."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._entries: OrderedDict[CacheKey, CachedQuery] = OrderedDict()
        self.held_bytes = 0  # Slightly overestimated.

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: CacheKey) -> CachedQuery | None:
        """Returns the entry of a text; None if there is none."""
        entry = self._entries.get(key)
        if entry is not None:
            self._entries.move_to_end(key)
        return entry

    def put(self, key: CacheKey, tokens: Tokens, vector: NDArray[np.float32]) -> None:
        """Adds a text's vector. Copies it, since it may be a row of a large batch."""
        size = _size(key, tokens, vector)
        if size > self._max_bytes or key in self._entries:
            return
        self._entries[key] = CachedQuery(tokens, vector.copy())
        self.held_bytes += size
        while self.held_bytes > self._max_bytes:
            oldest, entry = self._entries.popitem(last=False)
            self.held_bytes -= _size(oldest, entry.tokens, entry.vector)


def _size(key: CacheKey, tokens: Tokens, vector: NDArray[np.float32]) -> int:
    # CPython uses at most 4 bytes for a character, 8 for an element of a list and 32 for a large integer.
    return OVERHEAD_BYTES + 4 * len(key.text) + 40 * len(tokens.ids) + vector.nbytes
