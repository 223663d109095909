"""Finds the words from which on a completion fits a typed text, but for a few typing errors.

An error is a letter too many, too few or wrong, or two neighbours swapped. For each node of a trie and each number of
errors, a set of bits holds which beginnings of the typed text fit the node's letters with so many errors at most (Wu
and Manber, "Fast text searching allowing errors", 1992, with swaps added). The nodes of a level are computed together,
and those that no beginning fits are left out below.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from server.suggest.run import Run, least
from server.suggest.trie import Trie, letters_of

ONE_ERROR_FROM, TWO_ERRORS_FROM = 4, 8
"""Least letters of a typed text for which one error is allowed, and two."""

LONGEST_TYPED = 30
"""Most letters of a typed text: its bits fit in 32, and with two errors its letters in a key."""

MOST_COMPARED = 4096
"""Words that are compared one by one, the best ones. If more are left below the trie, the others are not found."""


class Fits(NamedTuple):
    """Words that fit a typed text with errors.

    Attributes:
        positions: The position of each in its run. The same word may occur several times.
        errors: The number of errors.
        letters: How many of the word's letters fit the typed text.
    """

    positions: NDArray[np.int64]
    errors: NDArray[np.int64]
    letters: NDArray[np.int64]


def errors_allowed(letters: str) -> int:
    """Returns how many errors a typed text of these letters may have."""
    return (len(letters) >= ONE_ERROR_FROM) + (len(letters) >= TWO_ERRORS_FROM)


def fits_with_errors(run: Run, trie: Trie | None, letters: str, errors: int) -> Fits:
    """Returns the words that fit letters with 1 to `errors` errors, and some that fit without."""
    if len(letters) > LONGEST_TYPED:
        return _joined([])
    found: list[tuple[NDArray[np.int64], int, int]] = []
    compared = Compared(letters, errors)
    levels = () if trie is None else trie.levels
    nodes = np.zeros(1, np.int64)
    children = np.array([0, len(levels[0].letters) if levels else len(run.keys)], np.int32)
    alive = nodes
    for depth, level in enumerate(levels, 1):
        parents, nodes = _spread(children, nodes)
        compared.append(alive[parents], level.letters[nodes])
        if depth >= len(letters) - errors:
            for count, fitting in compared.fitting():
                found.append((_spread(level.starts, nodes[fitting])[1], count, depth))
        alive = compared.unfinished()
        nodes = nodes[alive]
        children = level.children
        if not len(nodes):
            return _joined(found)
    parents, positions = _spread(children, nodes)
    if len(positions) > MOST_COMPARED:
        best = least(run.ranks[positions], MOST_COMPARED)
        parents, positions = parents[best], positions[best]
    alive, remaining = alive[parents], letters_of(run.keys[positions])
    for depth in range(len(levels) + 1, len(letters) + errors + 1):
        compared.append(alive, remaining[:, depth - 1])
        if depth >= len(letters) - errors:
            found += [(positions[fitting], count, depth) for count, fitting in compared.fitting()]
        alive = compared.unfinished()
        positions, remaining = positions[alive], remaining[alive]
        if not len(positions):
            break
    return _joined(found)


class Compared:
    """Nodes that are compared with a typed text. Bit `i` of a set says whether its first `i` letters fit.

    Row `e` of the sets is for at most `e` errors.
    """

    def __init__(self, letters: str, errors: int) -> None:
        """Begins with one node of no letters: the first typed letters are too many."""
        self._places = np.zeros(1 << 16, np.uint32)
        for place, letter in enumerate(letters):
            self._places[ord(letter)] |= np.uint32(1 << place)
        self._complete = np.uint32(1 << len(letters))
        self._sets = np.array([[(2 << count) - 1] for count in range(errors + 1)], np.uint32)
        self._sets_before = np.zeros((errors, 1), np.uint32)
        self._last = np.zeros(1, np.uint32)

    def append(self, nodes: NDArray[np.int64], letters: NDArray[np.uint16]) -> None:
        """Replaces the nodes by ones with a letter more: each is given as its parent, and that letter."""
        one = np.uint32(1)
        places = self._places[letters]
        old = self._sets.take(nodes, 1)
        sets = (old & places) << one
        # The letter is one that was not typed, or another than the one typed; or two were swapped.
        sets[1:] |= old[:-1] | old[:-1] << one
        sets[1:] |= (self._sets_before.take(nodes, 1) & (places & self._last[nodes] >> one)) << np.uint32(2)
        for count in range(1, len(sets)):
            sets[count] |= sets[count - 1] << one  # The next letter typed is too many.
        self._sets_before, self._sets, self._last = old[:-1], sets, places

    def fitting(self) -> list[tuple[int, NDArray[np.int64]]]:
        """Returns each number of errors with which the whole typed text fits nodes, and those nodes."""
        fitting = [(count, (self._sets[count] & self._complete).nonzero()[0]) for count in range(1, len(self._sets))]
        return [(count, nodes) for count, nodes in fitting if len(nodes)]

    def unfinished(self) -> NDArray[np.int64]:
        """Returns the nodes that may fit with more letters, but do not yet with one error."""
        begun = self._sets[-1] & (self._complete - np.uint32(1))
        begun[self._sets[1] >= self._complete] = 0
        nodes: NDArray[np.int64] = begun.nonzero()[0]
        return nodes


def _spread(starts: NDArray[np.int32], nodes: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Returns the numbers from the start of each node to the next start, and the place in `nodes` of each number's."""
    first = starts[nodes].astype(np.int64)
    counts = starts[nodes + 1] - first
    places = np.arange(len(nodes)).repeat(counts)
    ends = counts.cumsum()
    return places, np.arange(len(places)) + (first - ends + counts)[places]


def _joined(found: list[tuple[NDArray[np.int64], int, int]]) -> Fits:
    if not found:
        return Fits(*np.zeros((3, 0), np.int64))
    positions, errors, letters = zip(*found, strict=True)
    lengths = [len(each) for each in positions]
    return Fits(np.concatenate(positions), np.repeat(errors, lengths), np.repeat(letters, lengths))
