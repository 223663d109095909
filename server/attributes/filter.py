"""A filter: which documents are wanted, by their attributes. Here is what each condition means.

`Columns.select` finds all documents of an index that match; `matches` decides for one, and is the definition.
Types do not convert: "1", 1 and true are three different values. A list matches when one of its elements does; an empty
one is as good as missing. Strings are compared by code points.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from server.catalogue.document import AttributeValue

Scalar = str | bool | int | float
"""A value of an attribute, or one of its values. Numbers are compared as doubles, and never NaN."""

Kind = Literal["string", "number", "boolean"]


@dataclass(frozen=True)
class Equals:
    """The attribute has this value."""

    attribute: str
    value: Scalar


@dataclass(frozen=True)
class In:
    """The attribute has one of these values."""

    attribute: str
    values: tuple[Scalar, ...]


@dataclass(frozen=True)
class Range:
    """The attribute has a value within bounds: two numbers or two strings, or one where the other is None."""

    attribute: str
    lower: str | float | None = None
    upper: str | float | None = None
    lower_inclusive: bool = True
    upper_inclusive: bool = True

    @property
    def kind(self) -> Kind:
        """The type of the values that may match."""
        return "string" if isinstance(self.lower, str) or isinstance(self.upper, str) else "number"


@dataclass(frozen=True)
class Exists:
    """The attribute has a value."""

    attribute: str


@dataclass(frozen=True)
class AllOf:
    """Every one of these filters matches; of none, always."""

    filters: tuple[Filter, ...]


@dataclass(frozen=True)
class AnyOf:
    """One of these filters matches; of none, never."""

    filters: tuple[Filter, ...]


@dataclass(frozen=True)
class Not:
    """This filter does not match."""

    filter: Filter


Filter = Equals | In | Range | Exists | AllOf | AnyOf | Not


def matches(filter: Filter, attributes: Mapping[str, AttributeValue]) -> bool:
    """Returns whether a document with these attributes matches."""
    match filter:
        case AllOf(filters):
            return all(matches(each, attributes) for each in filters)
        case AnyOf(filters):
            return any(matches(each, attributes) for each in filters)
        case Not(negated):
            return not matches(negated, attributes)
        case _:
            return any(_value_matches(filter, value) for value in values_of(attributes.get(filter.attribute, [])))


def values_of(value: AttributeValue) -> Sequence[Scalar]:
    """Returns the elements of a list, or a single value as the only one."""
    return value if isinstance(value, list) else [value]


def kind_of(value: Scalar) -> Kind:
    """Returns the type of a value. A boolean is no number here, as it is in Python."""
    if isinstance(value, str):
        return "string"
    return "boolean" if isinstance(value, bool) else "number"


def within(value: str | float, range: Range) -> bool:
    """Returns whether a value of the range's kind lies within its bounds."""
    # Both bounds are of the value's type, which the type checker cannot know.
    lower, upper = range.lower, range.upper
    if lower is not None and not (value >= lower if range.lower_inclusive else value > lower):  # type: ignore[operator]
        return False
    return upper is None or bool(value <= upper if range.upper_inclusive else value < upper)  # type: ignore[operator]


def _value_matches(condition: Equals | In | Range | Exists, value: Scalar) -> bool:
    match condition:
        case Equals(_, wanted):
            return _same(value, wanted)
        case In(_, values):
            return any(_same(value, wanted) for wanted in values)
        case Range():
            return kind_of(value) == condition.kind and within(value, condition)
        case Exists():
            return True


def _same(one: Scalar, other: Scalar) -> bool:
    return kind_of(one) == kind_of(other) and one == other
