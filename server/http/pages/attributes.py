"""The attributes of the catalogue and their most frequent values, for the filters of the search page."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from server.attributes.column import ColumnView
from server.attributes.columns import ColumnsView
from server.attributes.filter import Kind

MAX_ATTRIBUTES = 50
MAX_VALUES = 50
MAX_CHARACTERS = 100
"""Bounds of what the page offers; longer values are not offered."""


class AttributeValues(msgspec.Struct, frozen=True):
    """One attribute and type: its most frequent values with the number of documents, and whether there are more."""

    name: str
    kind: Kind
    values: list[tuple[str | float | bool, int]]
    more: bool


def attributes_of(columns: ColumnsView, live: NDArray[np.bool_]) -> list[AttributeValues]:
    """Returns the attributes in alphabetical order. Only live documents count."""
    found = [_values(name, kind, column, live) for (name, kind), column in columns.columns.items()]
    return sorted((each for each in found if each.values), key=lambda each: (each.name, each.kind))[:MAX_ATTRIBUTES]


def _values(name: str, kind: Kind, column: ColumnView, live: NDArray[np.bool_]) -> AttributeValues:
    values, counts = np.unique(column.values[live[column.slots]], return_counts=True)
    order = np.argsort(-counts, kind="stable")[:MAX_VALUES]
    shown: list[tuple[str | float | bool, int]] = []
    for value, count in zip(values[order].tolist(), counts[order].tolist(), strict=True):
        each = column.dictionary.strings[value] if column.dictionary else value
        if not isinstance(each, str) or len(each) <= MAX_CHARACTERS:
            shown.append((each, count))
    return AttributeValues(name, kind, shown, more=len(shown) < len(values))
