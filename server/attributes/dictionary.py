"""The distinct strings of one attribute, with the codes 0, 1, 2 … in order of arrival.

The strings are not sorted, so that adding one is cheap. A range is found by comparing the first 16 bytes of all strings
with NumPy, then the whole of those few that share these bytes with the bound. UTF-8 sorts like code points.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from server.attributes.filter import Range
from server.growing import Growing

UNKNOWN = -1
"""The code of a string that is not in the dictionary."""

HEAD_BYTES = 16


class DictionaryView(NamedTuple):
    """The strings at one moment: the first `len(heads)`. `strings` and `codes` may have more by now."""

    strings: list[str]
    codes: dict[str, int]
    heads: NDArray[np.uint64]
    """For each string of this view, its first 16 bytes as two big-endian numbers `[N, 2]`."""

    def code_of(self, string: str) -> int:
        """Returns a string's code, or UNKNOWN."""
        code = self.codes.get(string, UNKNOWN)
        return code if code < len(self.heads) else UNKNOWN

    def one_of(self, strings: Sequence[str]) -> NDArray[np.bool_]:
        """Returns for each code whether its string is one of `strings`."""
        chosen = np.zeros(len(self.heads), np.bool_)
        chosen[[code for code in map(self.code_of, strings) if code != UNKNOWN]] = True
        return chosen

    def within(self, range: Range) -> NDArray[np.bool_]:
        """Returns for each code whether its string is within a range."""
        chosen = np.ones(len(self.heads), np.bool_)
        if isinstance(range.lower, str):
            chosen &= self._from(range.lower, inclusive=range.lower_inclusive)
        if isinstance(range.upper, str):
            chosen &= ~self._from(range.upper, inclusive=not range.upper_inclusive)
        return chosen

    def _from(self, bound: str, *, inclusive: bool) -> NDArray[np.bool_]:
        """Returns for each code whether its string is greater than a bound, or equal if `inclusive`."""
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
    """A dictionary with one writer; any thread may use its views at any time."""

    def __init__(self) -> None:
        self._strings: list[str] = []
        self._codes: dict[str, int] = {}
        self._heads = Growing(np.empty((0, 2), np.uint64))

    def encode(self, strings: Sequence[str]) -> list[int]:
        """Returns the codes of strings; adds new strings."""
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
        """Returns the present strings."""
        return DictionaryView(self._strings, self._codes, self._heads.view())


def _heads(strings: Sequence[str]) -> NDArray[np.uint64]:
    heads = b"".join(each[:HEAD_BYTES].encode()[:HEAD_BYTES].ljust(HEAD_BYTES, b"\0") for each in strings)
    return np.frombuffer(heads, ">u8").astype(np.uint64).reshape(-1, 2)
