"""Warns of conditions that can match no document, because none has the attribute, or none a value of the type.

Such a filter is valid, but is usually a mistake: a misspelt name would otherwise select nothing without a word. Facets
of an attribute that no document has are warned of, too.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from server.attributes.columns import ColumnsView
from server.attributes.filter import AllOf, AnyOf, Equals, Exists, Filter, In, Kind, Not, Range, kind_of
from server.composition import composed
from server.nearest import nearest_name

MOST_WARNINGS = 3
"""Maximum warnings of a filter, so that an answer stays small."""

SHOWN_CHARACTERS = 60
"""Maximum characters of a name in a warning."""

NEWEST = 64
"""Entries of a column that are looked at first: the newest ones are the most likely to be live."""

NAMES = {Equals: "equals", In: "is_in", Range: "range", Exists: "exists"}


def warnings_of(
    filter: Filter | None, columns: ColumnsView, live: NDArray[np.bool_], *, facets: Sequence[str] = ()
) -> list[str]:
    """Returns a sentence for each condition and each facet that matches nothing, up to MOST_WARNINGS.

    A sentence begins with the path of its condition from `filter`, or with that of the facet.
    """
    return list(islice(_warnings(filter, facets, _Known(columns, live)), MOST_WARNINGS))


def unknown_attribute(attribute: str, columns: ColumnsView, live: NDArray[np.bool_]) -> str | None:
    """Returns the problem of a composed name of an attribute that no document has; None if one has it."""
    return _unknown(attribute, _Known(columns, live))


class _Known:
    """The attributes of live documents, and the types of their values."""

    def __init__(self, columns: ColumnsView, live: NDArray[np.bool_]) -> None:
        self._columns = columns.columns
        self._live = live
        self._kinds: dict[str, list[Kind]] = {}

    def kinds(self, attribute: str) -> list[Kind]:
        """Returns the types of an attribute's values; none if no live document has it."""
        if attribute not in self._kinds:
            self._kinds[attribute] = [kind for kind in get_args(Kind) if self._is_live(attribute, kind)]
        return self._kinds[attribute]

    def nearest(self, attribute: str) -> str | None:
        """Returns the attribute that a misspelt name means; None if there is none."""
        names = dict.fromkeys(name for name, _ in self._columns)
        nearest = nearest_name(attribute, names)
        return nearest if nearest is not None and self.kinds(nearest) else None

    def _is_live(self, attribute: str, kind: Kind) -> bool:
        column = self._columns.get((attribute, kind))
        if column is None:
            return False
        return bool(self._live[column.slots[-NEWEST:]].any() or self._live[column.slots].any())


def _warnings(filter: Filter | None, facets: Sequence[str], known: _Known) -> Iterator[str]:
    for path, condition in () if filter is None else _conditions(filter, "filter"):
        if (problem := _problem(condition, known)) is not None:
            yield f"{path}: {problem}"
    for position, attribute in enumerate(facets):
        if (problem := _unknown(composed(attribute), known)) is not None:
            yield f"facets[{position}]: {problem}"


def _conditions(filter: Filter, path: str) -> Iterator[tuple[str, Equals | In | Range | Exists]]:
    """Yields each condition with its path in the request's message."""
    match filter:
        case AllOf(filters):
            name = "all_of"
        case AnyOf(filters):
            name = "any_of"
        case Not(AnyOf(filters)):
            name = "none_of"
        case Not(negated):
            name, filters = "none_of", (negated,)
        case _:
            yield f"{path}.{NAMES[type(filter)]}", filter
            return
    for position, each in enumerate(filters):
        yield from _conditions(each, f"{path}.{name}.filters[{position}]")


def _problem(condition: Equals | In | Range | Exists, known: _Known) -> str | None:
    if (unknown := _unknown(condition.attribute, known)) is not None:
        return unknown
    kinds = known.kinds(condition.attribute)
    match condition:
        case Equals(_, value):
            wanted: list[Kind] = [kind_of(value)]
        case In(_, values):
            wanted = [] if any(kind_of(value) in kinds for value in values) else [kind_of(values[0])]
        case Range():
            wanted = [condition.kind]
        case Exists():
            return None
    if not wanted or wanted[0] in kinds:
        return None
    shown = repr(condition.attribute[:SHOWN_CHARACTERS])
    return f"no document has a {wanted[0]} as {shown}; the type of its values is {' or '.join(kinds)}"


def _unknown(attribute: str, known: _Known) -> str | None:
    """Returns the problem of an attribute that no document has; None if one has it."""
    if known.kinds(attribute):
        return None
    nearest = known.nearest(attribute)
    meant = "" if nearest is None else f"; perhaps {nearest[:SHOWN_CHARACTERS]!r} is meant"
    return f"no document has the attribute {attribute[:SHOWN_CHARACTERS]!r}{meant}"
