"""A sorted run: the beginnings of words, by the letters from there to the end of their completion.

Each beginning has a rank, an integer of 64 bits; lower is better. It holds, from the highest bit down: whether the word
is a later one, the weight with demand (descending), whether the completion is no title, its length, and its number. So
two ranks compare two suggestions.
"""

from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from server.suggest.completion import Completion, Source

BLOCK = 64
"""Beginnings of which only the best rank is read first, when the best of a long range are sought."""

READ_WHOLE = 2048
"""Longest range whose ranks are all read."""

LATER_WORD = 1 << 63
WEIGHT_BIT = 31
NO_TITLE = 1 << 30
LENGTH_BIT = 24
MOST_COMPLETIONS = 1 << LENGTH_BIT
NUMBER_MASK = MOST_COMPLETIONS - 1
LONGEST_RANKED = 63
"""Lengths above this rank alike."""

DEMAND_SHARE = 0.5
"""Most that demand adds to a weight, as a share of it; of a weight between -1 and 1, as a share of 1."""

BYTES_PER_LETTER = 2

HIGHEST_RANK = np.uint64(2**64 - 1)
WEIGHT_MASK = np.uint64(0xFFFFFFFF << WEIGHT_BIT)


class Run(NamedTuple):
    """Beginnings of words, sorted by key.

    Attributes:
        keys: The first letters from each word on, in UTF-16 (big-endian, so that bytes sort as letters do).
        ranks: The rank of each.
        places: Where each word begins in its text, in code points.
        best_ranks: The best rank of each block.
    """

    keys: NDArray[np.bytes_]
    ranks: NDArray[np.uint64]
    places: NDArray[np.uint16]
    best_ranks: NDArray[np.uint64]

    @classmethod
    def of(cls, keys: NDArray[np.bytes_], ranks: NDArray[np.uint64], places: NDArray[np.uint16]) -> Self:
        """Returns the run of beginnings in any order; takes linear time for sorted runs, one after the other."""
        order = np.argsort(keys, kind="stable")
        ranks = ranks[order]
        return cls(keys[order], ranks, places[order], _best_ranks(ranks))

    def reweighed(self, weights: NDArray[np.uint64]) -> Self:
        """Returns the run with other weights, given by number as `weight_bits` returns them."""
        ranks = self.ranks & ~WEIGHT_MASK | weights[numbers_of(self.ranks)]
        return self._replace(ranks=ranks, best_ranks=_best_ranks(ranks))

    def beginning_with(self, letters: str) -> tuple[int, int]:
        """Returns the range of keys that begin with the first of these letters: as many as a key holds."""
        width = self.keys.dtype.itemsize
        first = encoded(letters)[:width]
        if len(first) == width:
            own = np.array(first, self.keys.dtype)
            return int(self.keys.searchsorted(own)), int(self.keys.searchsorted(own, "right"))
        # No key has U+FFFF, which is no letter.
        low, high = self.keys.searchsorted(np.array([first, first.ljust(width, b"\xff")], self.keys.dtype)).tolist()
        return low, high

    def best(self, low: int, high: int, count: int) -> NDArray[np.int64]:
        """Returns the positions of the `count` best ranks of a range, in any order."""
        if high - low <= max(READ_WHOLE, 2 * count):
            return low + least(self.ranks[low:high], count)
        # The best ranks are in the `count` blocks with the best ones, or in the blocks that the range cuts.
        first, end = -(-low // BLOCK), high // BLOCK
        blocks = first + least(self.best_ranks[first:end], count)
        inside = (blocks[:, None] * BLOCK + np.arange(BLOCK)).ravel()
        positions = np.concatenate((inside, np.arange(low, first * BLOCK), np.arange(end * BLOCK, high)))
        return positions[least(self.ranks[positions], count)]


def encoded(letters: str) -> bytes:
    """Returns letters as the keys of runs hold them."""
    return letters.encode("utf-16-be")


def least(values: NDArray[Any], count: int) -> NDArray[np.int64]:
    """Returns the positions of the `count` least values, in any order."""
    return np.arange(len(values)) if len(values) <= count else values.argpartition(count - 1)[:count]


def numbers_of(ranks: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Returns the numbers of the completions that have these ranks."""
    return (ranks & np.uint64(NUMBER_MASK)).view(np.int64)


def weight_bits(weights: NDArray[np.float32], demands: NDArray[np.float32]) -> NDArray[np.uint64]:
    """Returns the part of ranks that holds weights with demand: the heavier, the lower."""
    wide = weights.astype(np.float64)
    wide += DEMAND_SHARE * demands * np.maximum(np.abs(wide), 1.0)
    bits = np.minimum(wide, np.finfo(np.float32).max).astype(np.float32).view(np.uint32)
    # The bits of a positive float sort as integers do, those of a negative one in reverse.
    descending = np.where(bits >> 31, bits, ~(bits | np.uint32(1 << 31)))
    return descending.astype(np.uint64) << np.uint64(WEIGHT_BIT)


def rank_of_first_word(completion: Completion, number: int, weight: int) -> int:
    """Returns the rank of a completion's first word; that of a later word has `LATER_WORD` as well.

    `weight` is what `weight_bits` returns for the completion.
    """
    source = 0 if completion.source is Source.TITLE else NO_TITLE
    length = min(len(completion.text), LONGEST_RANKED)
    return weight | source | length << LENGTH_BIT | number


def _best_ranks(ranks: NDArray[np.uint64]) -> NDArray[np.uint64]:
    padded = np.full((-(-len(ranks) // BLOCK), BLOCK), HIGHEST_RANK)
    padded.ravel()[: len(ranks)] = ranks
    best: NDArray[np.uint64] = padded.min(axis=1, initial=HIGHEST_RANK)
    return best
