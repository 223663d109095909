"""The strings of one attribute, each kept once and known by its code: 0, 1, 2 … in the order they came.

They are not sorted, so that a new one costs no more than the last. What a range takes is found by comparing the first
16 bytes of all, which NumPy does, and the whole of those few that begin as the bound does. UTF-8 has the order of code
points.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from server.attributes.filter import Range
from server.growing import Growing

UNKNOWN = -1
"""The code of a string that is not there."""

HEAD_BYTES = 16


class DictionaryView(NamedTuple):
    """The strings that there were at one time; `strings` and `codes` may have more by now."""

    strings: list[str]
    codes: dict[str, int]
    heads: NDArray[np.uint64]
    """For each string of this view its first bytes as two numbers, which are in the order of the bytes."""

    def code_of(self, string: str) -> int:
        """Returns a string's code, or UNKNOWN."""
        code = self.codes.get(string, UNKNOWN)
        return code if code < len(self.heads) else UNKNOWN

    def one_of(self, strings: Sequence[str]) -> NDArray[np.bool_]:
        """Returns for each code whether its string is one of these."""
        chosen = np.zeros(len(self.heads), np.bool_)
        chosen[[code for code in map(self.code_of, strings) if code != UNKNOWN]] = True
        return chosen

    def within(self, range: Range) -> NDArray[np.bool_]:
        """Returns for each code whether its string lies within the bounds of a range."""
        chosen = np.ones(len(self.heads), np.bool_)
        if isinstance(range.lower, str):
            chosen &= self._from(range.lower, inclusive=range.lower_inclusive)
        if isinstance(range.upper, str):
            chosen &= ~self._from(range.upper, inclusive=not range.upper_inclusive)
        return chosen

    def _from(self, bound: str, *, inclusive: bool) -> NDArray[np.bool_]:
        """Returns for each code whether its string is greater than a bound, or equal to it where that counts."""
        first, second = self.heads.T
        bound_first, bound_second = _heads([bound])[0]
        chosen: NDArray[np.bool_] = first > bound_first
        tied = np.flatnonzero(first == bound_first)
        chosen[tied] = second[tied] > bound_second
        for code in tied[second[tied] == bound_second].tolist():
            string = self.strings[code]
            chosen[code] = string > bound or (inclusive and string == bound)
        return chosen


class Dictionary:
    """Has one writer; any thread may use its views meanwhile."""

    def __init__(self) -> None:
        self._strings: list[str] = []
        self._codes: dict[str, int] = {}
        self._heads = Growing(np.empty((0, 2), np.uint64))

    def encode(self, strings: Sequence[str]) -> list[int]:
        """Returns the codes of strings, and adds those that are new."""
        known = len(self._strings)
        codes = []
        for string in strings:
            code = self._codes.get(string, UNKNOWN)
            if code == UNKNOWN:
                code = self._codes[string] = len(self._strings)
                self._strings.append(string)
            codes.append(code)
        if known < len(self._strings):
            self._heads.extend(_heads(self._strings[known:]))
        return codes

    def view(self) -> DictionaryView:
        """Returns the strings that there are now."""
        return DictionaryView(self._strings, self._codes, self._heads.view())


def _heads(strings: Sequence[str]) -> NDArray[np.uint64]:
    heads = b"".join(each[:HEAD_BYTES].encode()[:HEAD_BYTES].ljust(HEAD_BYTES, b"\0") for each in strings)
    return np.frombuffer(heads, ">u8").astype(np.uint64).reshape(-1, 2)
