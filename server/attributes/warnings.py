"""Warns of conditions that can match no document, because none has the attribute, or none a value of the type.

Such a filter is valid, but is usually a mistake: a misspelt name would otherwise select nothing without a word. Facets
of an attribute that no document has are warned of, too.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple, Self, get_args

import numpy as np
from numpy.typing import NDArray

from server.attributes.column import ColumnView
from server.attributes.columns import ColumnsView
from server.attributes.filter import AllOf, AnyOf, Equals, Exists, Filter, In, Kind, Not, Range, kind_of
from server.composition import composed
from server.nearest import MOST_NAMES, nearest_name

MOST_WARNINGS = 3
"""Maximum warnings of a filter, so that an answer stays small."""

SHOWN_CHARACTERS = 60
"""Maximum characters of a name in a warning."""

NEWEST = 64
"""Entries of a column that are looked at first: the newest ones are the most likely to be live."""

NAMES = {Equals: "equals", In: "is_in", Range: "range", Exists: "exists"}


class Attributes(NamedTuple):
    """Attributes of live documents.

    Attributes:
        kinds: The types of the values of some attributes, by composed name; none if no document has the attribute.
        names: The first `MOST_NAMES` names of all attributes, ascending. Empty if documents have all those of `kinds`.
    """

    kinds: Mapping[str, Sequence[Kind]]
    names: Sequence[str]

    @classmethod
    def of(cls, asked: Iterable[str], columns: ColumnsView, live: NDArray[np.bool_]) -> Self:
        """Returns the types of the attributes asked for, by composed name."""

        def kinds(attribute: str) -> list[Kind]:
            return [kind for kind in get_args(Kind) if is_live(columns.columns.get((attribute, kind)))]

        def is_live(column: ColumnView | None) -> bool:
            return column is not None and bool(live[column.slots[-NEWEST:]].any() or live[column.slots].any())

        known = {attribute: kinds(attribute) for attribute in asked}
        if all(known.values()):
            return cls(known, ())
        names = sorted({name for name, _ in columns.columns})
        return cls(known, list(islice((name for name in names if kinds(name)), MOST_NAMES)))


def asked_attributes(filter: Filter | None, facets: Sequence[str]) -> list[str]:
    """Returns the composed names of the attributes of a filter and of facets, each once."""
    conditions = () if filter is None else _conditions(filter, "")
    names = [condition.attribute for _, condition in conditions]
    return list(dict.fromkeys((*names, *map(composed, facets))))


def warnings_of(filter: Filter | None, facets: Sequence[str], attributes: Attributes) -> list[str]:
    """Returns a sentence for each condition and each facet that matches nothing, up to MOST_WARNINGS.

    A sentence begins with the path of its condition from `filter`, or with that of the facet. `attributes` are those
    that `asked_attributes` returns.
    """
    return list(islice(_warnings(filter, facets, attributes), MOST_WARNINGS))


def unknown_attribute(attribute: str, attributes: Attributes) -> str | None:
    """Returns the problem of a composed name of an attribute that no document has; None if one has it."""
    if attributes.kinds[attribute]:
        return None
    nearest = nearest_name(attribute, attributes.names)
    meant = "" if nearest is None else f"; perhaps {nearest[:SHOWN_CHARACTERS]!r} is meant"
    return f"no document has the attribute {attribute[:SHOWN_CHARACTERS]!r}{meant}"


def _warnings(filter: Filter | None, facets: Sequence[str], attributes: Attributes) -> Iterator[str]:
    for path, condition in () if filter is None else _conditions(filter, "filter"):
        if (problem := _problem(condition, attributes)) is not None:
            yield f"{path}: {problem}"
    for position, attribute in enumerate(facets):
        if (problem := unknown_attribute(composed(attribute), attributes)) is not None:
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


def _problem(condition: Equals | In | Range | Exists, attributes: Attributes) -> str | None:
    if (unknown := unknown_attribute(condition.attribute, attributes)) is not None:
        return unknown
    kinds = attributes.kinds[condition.attribute]
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
