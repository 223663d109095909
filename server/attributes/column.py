"""A column: the values of one type that one attribute has in all documents.

An entry is a slot and a value; a list is several entries of one slot, and a document without the attribute has none. So
a column takes memory for what there is (8 bytes an entry of strings, 12 of numbers, 5 of booleans, and each different
string once), not for what there might be.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from server.attributes.dictionary import Dictionary, DictionaryView
from server.attributes.filter import Kind, Range, Scalar
from server.growing import Growing

VALUE_TYPES: dict[Kind, type[np.generic]] = {"string": np.int32, "number": np.float64, "boolean": np.bool_}
"""How values are kept; strings as the codes of a dictionary."""

FEW = 16
"""So many numbers are compared with all others one by one, at 0.3 ms each for a million; more are found by hashes."""

HASH_BITS = 20

MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
"""2^64 divided by the golden ratio, which spreads numbers that lie close together."""


class ColumnView(NamedTuple):
    """The entries that there were at one time: slots, ascending, and values, which are codes for strings."""

    slots: NDArray[np.int32]
    values: NDArray[Any]
    dictionary: DictionaryView | None
    dense: bool
    """Every slot up to the last has one entry, so that an entry's position is its slot."""

    def mark(self, chosen: NDArray[np.bool_], entries: NDArray[np.bool_]) -> None:
        """Sets the slots of some entries."""
        if self.dense:
            chosen[: len(entries)] |= entries
        else:
            chosen[self.slots[np.flatnonzero(entries)]] = True  # A boolean index takes four times as long.

    def equal(self, value: Scalar) -> NDArray[np.bool_]:
        """Returns for each entry whether its value is this one."""
        wanted = self.dictionary.code_of(str(value)) if self.dictionary else value
        equal: NDArray[np.bool_] = self.values == wanted
        return equal

    def one_of(self, values: Sequence[Any]) -> NDArray[np.bool_]:
        """Returns for each entry whether its value is one of these."""
        if self.dictionary:
            return self.dictionary.one_of(values).take(self.values)
        wanted = np.array(list(set(values)), self.values.dtype)
        if len(wanted) > FEW:
            return _found_by_hash(self.values, wanted)
        chosen = np.zeros(len(self.values), np.bool_)
        for each in wanted:
            chosen |= self.values == each
        return chosen

    def within(self, range: Range) -> NDArray[np.bool_]:
        """Returns for each entry whether its value lies within the bounds of a range of the column's type."""
        if self.dictionary:
            return self.dictionary.within(range).take(self.values)
        chosen = np.ones(len(self.values), np.bool_)
        if range.lower is not None:
            chosen &= self.values >= range.lower if range.lower_inclusive else self.values > range.lower
        if range.upper is not None:
            chosen &= self.values <= range.upper if range.upper_inclusive else self.values < range.upper
        return chosen


class Column:
    """Has one writer; any thread may use its views meanwhile."""

    def __init__(self, kind: Kind) -> None:
        self._slots = Growing(np.empty(0, np.int32))
        self._values = Growing(np.empty(0, VALUE_TYPES[kind]))
        self._dictionary = Dictionary() if kind == "string" else None
        self._dense = True

    @classmethod
    def restored(
        cls, kind: Kind, slots: NDArray[np.int32], values: NDArray[Any], strings: Sequence[str] | None
    ) -> Self:
        """Returns the column whose view had these arrays and, of strings, this dictionary."""
        column = cls(kind)
        column._slots, column._values = Growing(slots), Growing(values)
        column._dense = bool((slots == np.arange(len(slots))).all())
        if column._dictionary and strings:
            column._dictionary.encode(strings)
        return column

    def append(self, slots: Sequence[int], values: Sequence[Any]) -> None:
        """Appends entries. No slot is below one that is there already."""
        count = len(self._slots.view())
        self._dense = self._dense and slots == list(range(count, count + len(slots)))
        self._values.extend(self._dictionary.encode(values) if self._dictionary else values)
        self._slots.extend(slots)

    def view(self) -> ColumnView:
        """Returns the entries that there are now."""
        dictionary = self._dictionary.view() if self._dictionary else None
        return ColumnView(self._slots.view(), self._values.view(), dictionary, self._dense)


def _found_by_hash(values: NDArray[np.float64], wanted: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Returns for each value whether it is wanted. Each wanted number is there once."""
    holder_of = np.full(1 << HASH_BITS, -1, np.int32)
    wanted_hashes, positions = _hashes(wanted), np.arange(len(wanted))
    holder_of[wanted_hashes] = positions
    holders = holder_of.take(_hashes(values))
    entries = np.flatnonzero(holders >= 0)
    candidates = values[entries]
    found = wanted[holders[entries]] == candidates
    # Another number has the same hash and holds the place of these.
    for displaced in wanted[holder_of[wanted_hashes] != positions]:
        found |= candidates == displaced
    chosen = np.zeros(len(values), np.bool_)
    chosen[entries] = found
    return chosen


def _hashes(numbers: NDArray[np.float64]) -> NDArray[np.uint64]:
    positive_zero = numbers + 0.0  # -0.0 is the same number, in other bits.
    hashes: NDArray[np.uint64] = (positive_zero.view(np.uint64) * MULTIPLIER) >> np.uint64(64 - HASH_BITS)
    return hashes
