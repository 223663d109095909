"""A column: the values of one type that one attribute has in all documents.

An entry is a slot and a value. A list gives an entry for each different element, all with one slot; a document without
the attribute has none.
An entry takes 8 bytes for a string, 12 for a number and 5 for a boolean; each distinct string is stored once.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from server.attributes.dictionary import Dictionary, DictionaryView
from server.attributes.filter import Kind, Range, Scalar
from server.growing import Growing

VALUE_TYPES: dict[Kind, type[np.generic]] = {"string": np.int32, "number": np.float64, "boolean": np.bool_}
"""The stored type of values. Strings are stored as codes of a dictionary."""

MOST_COMPARED = 16
"""`one_of` compares the whole column with each of up to this many wanted numbers; for more it uses binary search."""


class ColumnView(NamedTuple):
    """The entries at one moment: ascending slots, and values, which are codes if they are strings."""

    slots: NDArray[np.int32]
    values: NDArray[Any]
    dictionary: DictionaryView | None
    dense: bool
    """Whether every slot up to the last has one entry, so that an entry's position is its slot."""

    def mark(self, chosen: NDArray[np.bool_], entries: NDArray[np.bool_]) -> None:
        """Sets `chosen` for the slots of the entries that are True in `entries`."""
        if self.dense:
            chosen[: len(entries)] |= entries
        else:
            chosen[self.slots[np.flatnonzero(entries)]] = True  # Faster than a boolean index.

    def entries_of(self, slots: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Returns the positions of all entries of some slots, and for each the place of its slot in `slots`."""
        wanted = slots.astype(np.int32)  # Of the column's type: otherwise NumPy would convert the whole column.
        starts = self.slots.searchsorted(wanted)
        counts = self.slots.searchsorted(wanted, "right") - starts
        places = np.arange(len(slots)).repeat(counts)
        first = counts.cumsum() - counts
        return (starts - first).repeat(counts) + np.arange(len(places)), places

    def equal(self, value: Scalar) -> NDArray[np.bool_]:
        """Returns for each entry whether it equals `value`."""
        wanted = self.dictionary.code_of(str(value)) if self.dictionary else value
        equal: NDArray[np.bool_] = self.values == wanted
        return equal

    def one_of(self, values: Sequence[Any]) -> NDArray[np.bool_]:
        """Returns for each entry whether it is one of `values`."""
        if self.dictionary:
            return self.dictionary.one_of(values).take(self.values)
        wanted = np.unique(np.array(values, self.values.dtype))
        if len(wanted) > MOST_COMPARED:
            places = np.minimum(wanted.searchsorted(self.values), len(wanted) - 1)
            found: NDArray[np.bool_] = wanted[places] == self.values
            return found
        chosen = np.zeros(len(self.values), np.bool_)
        for each in wanted:
            chosen |= self.values == each
        return chosen

    def within(self, range: Range) -> NDArray[np.bool_]:
        """Returns for each entry whether it is within a range of the column's type."""
        if self.dictionary:
            return self.dictionary.within(range).take(self.values)
        chosen = np.ones(len(self.values), np.bool_)
        if range.lower is not None:
            chosen &= self.values >= range.lower if range.lower_inclusive else self.values > range.lower
        if range.upper is not None:
            chosen &= self.values <= range.upper if range.upper_inclusive else self.values < range.upper
        return chosen


class Column:
    """A column with one writer; any thread may use its views at any time."""

    def __init__(self, kind: Kind) -> None:
        self._slots = Growing(np.empty(0, np.int32))
        self._values = Growing(np.empty(0, VALUE_TYPES[kind]))
        self._dictionary = Dictionary() if kind == "string" else None
        self._dense = True

    @classmethod
    def restored(
        cls, kind: Kind, slots: NDArray[np.int32], values: NDArray[Any], strings: Sequence[str] | None
    ) -> Self:
        """Returns the column whose view had these arrays and, if its values are strings, this dictionary."""
        column = cls(kind)
        column._slots, column._values = Growing(slots), Growing(values)
        column._dense = bool((slots == np.arange(len(slots))).all())
        if column._dictionary and strings:
            column._dictionary.encode(strings)
        return column

    def append(self, slots: Sequence[int], values: Sequence[Any]) -> None:
        """Appends entries. Slots ascend, also from call to call."""
        count = len(self._slots.view())
        self._dense = self._dense and slots == list(range(count, count + len(slots)))
        self._values.extend(self._dictionary.encode(values) if self._dictionary else values)
        self._slots.extend(slots)

    def view(self) -> ColumnView:
        """Returns the present entries."""
        dictionary = self._dictionary.view() if self._dictionary else None
        return ColumnView(self._slots.view(), self._values.view(), dictionary, self._dense)
