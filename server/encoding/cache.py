"""An LRU cache of query vectors, bounded by memory."""

import hashlib
from collections import OrderedDict
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

OVERHEAD_BYTES = 500
"""Memory of an entry besides its vector: Python's objects and the entries of the table."""

DIGEST_BYTES = 16


class CacheKey(NamedTuple):
    """All that a vector depends on. The text is hashed: a long one takes no more memory than a short one."""

    revision: str
    prefix: str
    digest: bytes

    @classmethod
    def of(cls, text: str, *, revision: str, prefix: str) -> Self:
        """Returns the key of a text."""
        # Python strings may contain lone surrogates; protobuf's cannot.
        digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=DIGEST_BYTES).digest()
        return cls(revision, prefix, digest)


class CachedQuery(NamedTuple):
    """The number of tokens of a text before the cut, and its vector."""

    whole_count: int
    vector: NDArray[np.float32]


class EmbeddingCache:
    """Vectors by key. A cache of 0 bytes stays empty. Used on the event loop only."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._entries: OrderedDict[CacheKey, CachedQuery] = OrderedDict()
        self.held_bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: CacheKey) -> CachedQuery | None:
        """Returns the entry of a text; None if there is none."""
        entry = self._entries.get(key)
        if entry is not None:
            self._entries.move_to_end(key)
        return entry

    def put(self, key: CacheKey, *, whole_count: int, vector: NDArray[np.float32]) -> None:
        """Adds a text's vector. Copies it, since it may be a row of a large batch."""
        size = OVERHEAD_BYTES + vector.nbytes
        if size > self._max_bytes or key in self._entries:
            return
        self._entries[key] = CachedQuery(whole_count, vector.copy())
        self.held_bytes += size
        while self.held_bytes > self._max_bytes:
            _, oldest = self._entries.popitem(last=False)
            self.held_bytes -= OVERHEAD_BYTES + oldest.vector.nbytes
