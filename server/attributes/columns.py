"""The attributes of all documents, by slot.

There is a column for each attribute and type. Names and strings are composed (NFC), as in filters. A condition is
evaluated on whole columns of its attribute.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Self, assert_never, get_args

import msgspec
import numpy as np
from numpy.typing import NDArray

from server.attributes.column import Column, ColumnView
from server.attributes.filter import (
    AllOf,
    AnyOf,
    Equals,
    Exists,
    Filter,
    In,
    Kind,
    Not,
    Range,
    Scalar,
    kind_of,
    values_of,
)
from server.catalogue.document import AttributeValue
from server.composition import composed
from server.snapshot import Arrays

COLUMNS_VERSION = 2
"""Version of the columns: equal versions turn attributes into equal columns."""


class ColumnsView(NamedTuple):
    """The columns of the first `slot_count` documents, by attribute and type. Immutable; any thread may use it."""

    slot_count: int
    columns: Mapping[tuple[str, Kind], ColumnView]

    def select(self, filter: Filter) -> NDArray[np.bool_]:
        """Returns for each slot whether its document matches, as a new array."""
        match filter:
            case AllOf(filters):
                chosen = np.ones(self.slot_count, np.bool_)
                for each in filters:
                    chosen &= self.select(each)
            case AnyOf(filters):
                chosen = np.zeros(self.slot_count, np.bool_)
                for each in filters:
                    chosen |= self.select(each)
            case Not(negated):
                chosen = ~self.select(negated)
            case _:
                chosen = np.zeros(self.slot_count, np.bool_)
                self._mark(chosen, filter)
        return chosen

    @property
    def arrays(self) -> Arrays:
        """The arrays of a snapshot. Strings are packed with MessagePack, since they may hold any character."""
        arrays: dict[str, NDArray[Any]] = {"slot_count": np.array(self.slot_count), "keys": _packed(list(self.columns))}
        for number, column in enumerate(self.columns.values()):
            arrays[f"{number}.slots"], arrays[f"{number}.values"] = column.slots, column.values
            if column.dictionary:
                arrays[f"{number}.strings"] = _packed(column.dictionary.strings[: len(column.dictionary.heads)])
        return arrays

    def _mark(self, chosen: NDArray[np.bool_], condition: Equals | In | Range | Exists) -> None:
        """Sets the slots that match a condition."""
        for kind in get_args(Kind):
            column = self.columns.get((condition.attribute, kind))
            if column is None:
                continue
            match condition:
                case Equals(_, value):
                    if kind_of(value) == kind:
                        column.mark(chosen, column.equal(value))
                case In(_, values):
                    if wanted := [value for value in values if kind_of(value) == kind]:
                        column.mark(chosen, column.one_of(wanted))
                case Range():
                    if condition.kind == kind:
                        column.mark(chosen, column.within(condition))
                case Exists():
                    chosen[column.slots] = True
                case _:
                    assert_never(condition)


class Columns:
    """The columns of all documents. One thread appends and takes views; any thread may use a view at any time."""

    def __init__(self) -> None:
        self._slot_count = 0
        self._columns: dict[tuple[str, Kind], Column] = {}
        self._views: dict[tuple[str, Kind], ColumnView] = {}

    def append(self, attributes: Sequence[Mapping[str, AttributeValue]]) -> None:
        """Appends the attributes of documents, which get the next slots."""
        gathered: defaultdict[tuple[str, Kind], tuple[list[int], list[Scalar]]] = defaultdict(lambda: ([], []))
        for slot, each in enumerate(attributes, start=self._slot_count):
            for name, kind, scalar in dict.fromkeys(_entries_of(each)):
                slots, scalars = gathered[name, kind]
                slots.append(slot)
                scalars.append(scalar)
        for key, (slots, scalars) in gathered.items():
            if key not in self._columns:
                self._columns[key] = Column(key[1])
            self._columns[key].append(slots, scalars)
        self._views = self._views | {key: self._columns[key].view() for key in gathered}
        self._slot_count += len(attributes)

    def view(self) -> ColumnsView:
        """Returns the present columns."""
        return ColumnsView(self._slot_count, self._views)

    @classmethod
    def restored(cls, arrays: Arrays) -> Self:
        """Returns the columns whose view had these arrays."""
        columns = cls()
        columns._slot_count = int(arrays["slot_count"])
        for number, key in enumerate(msgspec.msgpack.decode(arrays["keys"].data, type=list[tuple[str, Kind]])):
            packed = arrays.get(f"{number}.strings")
            strings = None if packed is None else msgspec.msgpack.decode(packed.data, type=list[str])
            column = Column.restored(key[1], arrays[f"{number}.slots"], arrays[f"{number}.values"], strings)
            columns._columns[key], columns._views[key] = column, column.view()
        return columns


def _entries_of(attributes: Mapping[str, AttributeValue]) -> Iterator[tuple[str, Kind, Scalar]]:
    """Yields the name, the type and the value of each entry of a document."""
    for name, value in attributes.items():
        for scalar in values_of(value):
            yield composed(name), kind_of(scalar), composed(scalar) if isinstance(scalar, str) else scalar


def _packed(strings: Sequence[object]) -> NDArray[np.uint8]:
    return np.frombuffer(msgspec.msgpack.encode(strings), np.uint8)
