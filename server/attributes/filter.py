"""A filter: which documents are wanted, by their attributes. `ColumnsView.select` finds them.

Types do not convert: "1", 1 and true are three different values. A list matches when one of its elements does; an empty
one is as good as missing. Strings are compared by code points.
"""

from __future__ import annotations

from collections.abc import Sequence
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


def values_of(value: AttributeValue) -> Sequence[Scalar]:
    """Returns the elements of a list, or a single value as the only one."""
    return value if isinstance(value, list) else [value]


def kind_of(value: Scalar) -> Kind:
    """Returns the type of a value. A boolean is no number here, as it is in Python."""
    if isinstance(value, str):
        return "string"
    return "boolean" if isinstance(value, bool) else "number"
