"""Finds the words from which on a completion fits a typed text, but for a few typing errors.

An error is a letter too many, too few or wrong, or two neighbours swapped. For each node of a trie and each number of
errors, a set of bits holds which beginnings of the typed text fit the node's letters with so many errors at most (Wu
and Manber, "Fast text searching allowing errors", 1992, with swaps added). The nodes of a level are computed together,
and those that no beginning fits are left out below.
"""

from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from server.suggest.run import least
from server.suggest.segment import Segment
from server.suggest.trie import letters_of

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


def fits_with_errors(segments: Sequence[Segment], letters: str, errors: int) -> list[Fits]:
    """Returns for each segment the words that fit letters with 1 to `errors` errors, and some that fit without."""
    branches = remaining = [Branch(segment) for segment in segments]
    if len(letters) > LONGEST_TYPED:
        return [branch.fits() for branch in branches]
    compared = Compared(letters, errors)
    for depth in range(1, len(letters) + errors + 1):
        if not remaining:
            break
        appended = [branch.descend() for branch in remaining]
        compared.append(_joined([branch.parents for branch in remaining]), _joined(appended))
        firsts = list(accumulate(map(len, appended), initial=0))
        if depth >= len(letters) - errors:
            for count, fitting in compared.fitting():
                for branch, nodes, first in _divided(remaining, fitting, firsts):
                    branch.keep(nodes - first, count)
        for branch, nodes, first in _divided(remaining, compared.unfinished(), firsts):
            branch.choose(nodes - first, nodes)
        remaining = [branch for branch in remaining if len(branch.parents)]
    return [branch.fits() for branch in branches]


class Branch:
    """The words of a segment that may still fit: nodes of its trie, and below its last level the words themselves.

    Attributes:
        parents: The place of each node's parent among all nodes that were compared.
    """

    def __init__(self, segment: Segment) -> None:
        """Begins with the root, which has no letters."""
        self._run = segment.letters
        self._levels = () if segment.trie is None else segment.trie.levels
        self._depth = 0
        self._nodes = self.parents = np.zeros(1, np.int64)
        self._children = np.array([0, len(self._levels[0].letters if self._levels else self._run.keys)], np.int32)
        self._letters = np.zeros((0, 0), np.uint16)
        self._found: list[tuple[NDArray[np.int64], int, int]] = []

    def descend(self) -> NDArray[np.uint16]:
        """Replaces each node by those with a letter more; returns these letters."""
        depth = self._depth
        self._depth += 1
        if depth <= len(self._levels):
            places, self._nodes = _spread(self._children, self._nodes)
            self.parents = self.parents[places]
        if depth < len(self._levels):
            self._children = self._levels[depth].children
            return self._levels[depth].letters[self._nodes]
        if depth == len(self._levels):
            if len(self._nodes) > MOST_COMPARED:
                best = least(self._run.ranks[self._nodes], MOST_COMPARED)
                self._nodes, self.parents = self._nodes[best], self.parents[best]
            self._letters = letters_of(self._run.keys[self._nodes])
        return self._letters[:, depth]

    def keep(self, nodes: NDArray[np.int64], errors: int) -> None:
        """Keeps the words of nodes, given by their places in this branch, which fit with so many errors."""
        positions = self._nodes[nodes]
        if self._depth <= len(self._levels):
            _, positions = _spread(self._levels[self._depth - 1].starts, positions)
        self._found.append((positions, errors, self._depth))

    def choose(self, nodes: NDArray[np.int64], places: NDArray[np.int64]) -> None:
        """Continues with some nodes, given by their places in this branch and among all nodes that were compared."""
        self._nodes, self.parents = self._nodes[nodes], places
        if self._depth > len(self._levels):
            self._letters = self._letters[nodes]

    def fits(self) -> Fits:
        """Returns the words kept."""
        if not self._found:
            return Fits(*np.zeros((3, 0), np.int64))
        positions, errors, letters = zip(*self._found, strict=True)
        lengths = [len(each) for each in positions]
        return Fits(np.concatenate(positions), np.repeat(errors, lengths), np.repeat(letters, lengths))


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


def _divided(
    branches: Sequence[Branch], nodes: NDArray[np.int64], firsts: Sequence[int]
) -> Iterator[tuple[Branch, NDArray[np.int64], int]]:
    """Yields each branch with those of the ascending nodes that are its own, and its first node."""
    if len(branches) == 1:
        yield branches[0], nodes, 0
        return
    cuts = nodes.searchsorted(firsts).tolist()
    for branch, first, (start, end) in zip(branches, firsts, pairwise(cuts), strict=False):
        yield branch, nodes[start:end], first


def _joined(arrays: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Returns one array of all, without a copy if there is only one: most calls have one after a few letters."""
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _spread(starts: NDArray[np.int32], nodes: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Returns the numbers from the start of each node to the next start, and the place in `nodes` of each number's."""
    first = starts[nodes]
    counts = starts[nodes + 1] - first
    places = np.arange(len(nodes)).repeat(counts)
    return places, np.arange(len(places)) + (first + counts - counts.cumsum()).repeat(counts)
