"""Facets: how many documents have each value of an attribute, for the most frequent values.

A column is counted block by block, so that the counting thread never holds the GIL for long, and stops as soon as an
attribute has too many different values. A document with a list counts once for each different element.
"""

import heapq
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from server.attributes.column import ColumnView
from server.attributes.columns import ColumnsView
from server.attributes.filter import Kind, Scalar
from server.composition import composed

MOST_VALUES = 50
"""Maximum values of a facet."""

MOST_COUNTED = 10_000
"""Maximum different values of an attribute that are counted. An attribute with more is no facet but an identifier."""

BLOCK_ENTRIES = 2**16
"""Entries of a column that are counted at a time: less than a millisecond of work."""


MERGED_VALUES = 4 * MOST_COUNTED
"""Values of several blocks after which their counts are merged."""


class ValueCount(NamedTuple):
    """A value, and the number of documents that have it."""

    value: Scalar
    document_count: int


class FacetCounts(NamedTuple):
    """The counts of one attribute.

    Attributes:
        attribute: Its name, as it was asked for.
        values: The most frequent values, most frequent first, at most `MOST_VALUES`. Equally frequent ones are in the
            order strings, numbers, booleans, and ascend within each type.
        value_count: Number of different values; None if there are more than `MOST_COUNTED`: `values` is empty then.
    """

    attribute: str
    values: list[ValueCount]
    value_count: int | None


def facet_of(attribute: str, columns: ColumnsView, allowed: NDArray[np.bool_] | None) -> FacetCounts:
    """Counts the values of an attribute in the documents `allowed` by slot; None allows all."""
    first: list[ValueCount] = []
    value_count = 0
    for kind in get_args(Kind):
        column = columns.columns.get((composed(attribute), kind))
        if column is None:
            continue
        counted = _counted(column, allowed, most=MOST_COUNTED - value_count)
        if counted is None:
            return FacetCounts(attribute, [], None)
        value_count += len(counted.values)
        first += _most_frequent(counted, column)
    # Sorting is stable, and the values of each type are in their order.
    return FacetCounts(attribute, sorted(first, key=lambda each: -each.document_count)[:MOST_VALUES], value_count)


class PartCounts(NamedTuple):
    """The counts of one attribute in a part of the documents.

    Attributes:
        values: For each type of values, all different ones.
        counts: The number of documents with each.
    """

    values: list[list[Any]]
    counts: list[NDArray[np.int64]]


def counts_of(attribute: str, columns: ColumnsView, allowed: NDArray[np.bool_] | None) -> PartCounts | None:
    """Counts all values of an attribute in a part of the documents; None if there are more than `MOST_COUNTED`."""
    counts = PartCounts([], [])
    value_count = 0
    for kind in get_args(Kind):
        column = columns.columns.get((composed(attribute), kind))
        if column is None:
            counts.values.append([])
            counts.counts.append(np.zeros(0, np.int64))
            continue
        counted = _counted(column, allowed, most=MOST_COUNTED - value_count)
        if counted is None:
            return None
        value_count += len(counted.values)
        counts.values.append(_scalars(counted.values, column))
        counts.counts.append(counted.counts)
    return counts


def merged_facet(attribute: str, parts: Sequence[PartCounts | None]) -> FacetCounts:
    """Returns what `facet_of` returns for all documents, from the counts of each part."""
    first: list[ValueCount] = []
    value_count = 0
    for kind in range(len(get_args(Kind))):
        sums: defaultdict[Scalar, int] = defaultdict(int)
        for part in parts:
            if part is None:
                return FacetCounts(attribute, [], None)
            for value, count in zip(part.values[kind], part.counts[kind].tolist(), strict=True):
                sums[value] += count
        value_count += len(sums)
        first += heapq.nsmallest(MOST_VALUES, map(ValueCount, sums, sums.values()), key=_by_frequency)
    if value_count > MOST_COUNTED:
        return FacetCounts(attribute, [], None)
    return FacetCounts(attribute, sorted(first, key=lambda each: -each.document_count)[:MOST_VALUES], value_count)


def _by_frequency(counted: ValueCount) -> tuple[int, Any]:
    return -counted.document_count, counted.value


class _Counted(NamedTuple):
    """Different values of a column, which are codes if they are strings, and the number of documents with each."""

    values: NDArray[Any]
    counts: NDArray[np.int64]


def _counted(column: ColumnView, allowed: NDArray[np.bool_] | None, *, most: int) -> _Counted | None:
    """Counts the values of a column; returns None if there are more than `most` different ones."""
    parts = [_Counted(column.values[:0], np.zeros(0, np.int64))]
    found = 0
    for start in range(0, len(column.values), BLOCK_ENTRIES):
        block = column.values[start : start + BLOCK_ENTRIES]
        if allowed is not None:
            slots = column.slots[start : start + BLOCK_ENTRIES]
            block = block.take(np.flatnonzero(allowed.take(slots)))
        parts.append(_Counted(*np.unique(block, return_counts=True)))
        found += len(parts[-1].values)
        if found > MERGED_VALUES:
            parts = [_merged(parts)]
            found = len(parts[0].values)
            if found > most:
                return None
    merged = _merged(parts)
    return merged if len(merged.values) <= most else None


def _merged(parts: Sequence[_Counted]) -> _Counted:
    values, places = np.unique(np.concatenate([part.values for part in parts]), return_inverse=True)
    counts = np.zeros(len(values), np.int64)
    np.add.at(counts, places, np.concatenate([part.counts for part in parts]))
    return _Counted(values, counts)


def _most_frequent(counted: _Counted, column: ColumnView) -> list[ValueCount]:
    """Returns the most frequent values of a column, most frequent first; equally frequent ones ascend."""
    values, counts = counted
    least = np.partition(counts, -MOST_VALUES)[-MOST_VALUES] if len(counts) > MOST_VALUES else 1
    above, equal = counts > least, counts == least
    more = map(ValueCount, _scalars(values[above], column), counts[above].tolist())
    first = sorted(more, key=_by_frequency)
    rest = heapq.nsmallest(MOST_VALUES - len(first), _scalars(values[equal], column))
    return first + [ValueCount(value, int(least)) for value in rest]


def _scalars(values: NDArray[Any], column: ColumnView) -> list[Any]:
    """Returns the values for which a column stores these."""
    stored: list[Any] = values.tolist()
    return [column.dictionary.strings[code] for code in stored] if column.dictionary else stored
