"""The first levels of the trie of a run's keys: words with the same first letters are compared only once."""

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

DEPTH = 8
"""Levels of the trie. Few words still fit a typed text after so many letters: they are compared one by one."""


class Level(NamedTuple):
    """The nodes of one level, in the order of the keys: the different beginnings of so many letters.

    Attributes:
        letters: The last letter of each node, as a number of 16 bits; 0 where a key is shorter.
        starts: The first key of each node, and the number of keys.
        children: The first node of the next level that begins with each node, and the number of those nodes. Below the
            last level, the nodes are the keys.
    """

    letters: NDArray[np.uint16]
    starts: NDArray[np.int32]
    children: NDArray[np.int32]


class Trie(NamedTuple):
    """The levels, from nodes of one letter to those of `DEPTH`."""

    levels: tuple[Level, ...]

    @classmethod
    def of(cls, keys: NDArray[np.bytes_]) -> Self:
        """Returns the trie of sorted keys."""
        of_keys = letters_of(keys)
        differs = np.zeros(len(keys), np.bool_)
        differs[:1] = True
        starts = []
        for depth in range(DEPTH):
            differs[1:] |= of_keys[1:, depth] != of_keys[:-1, depth]
            starts.append(np.flatnonzero(differs).astype(np.int32))
        starts.append(np.arange(len(keys), dtype=np.int32))
        levels = []
        for depth in range(DEPTH):
            first, below = starts[depth], starts[depth + 1]
            children = np.append(below.searchsorted(first), len(below)).astype(np.int32)
            ended = np.append(first, np.int32(len(keys)))
            levels.append(Level(of_keys[first, depth].astype(np.uint16), ended, children))
        return cls(tuple(levels))


def letters_of(keys: NDArray[np.bytes_]) -> NDArray[np.uint16]:
    """Returns the letters of keys as numbers of 16 bits `[N, letters of a key]`, big-endian."""
    return np.ascontiguousarray(keys).view(">u2").reshape(len(keys), keys.dtype.itemsize // 2)
