"""Filters choose documents by their attributes. `ColumnsView.select` evaluates them.

Types do not convert: "1", 1 and true are three different values. A list matches if one of its elements does; an empty
list counts as missing. Names and strings are composed (NFC), and compared by code points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from server.catalogue.document import AttributeValue

Scalar = str | bool | int | float
"""A value of an attribute, or an element of its list. Numbers are compared as doubles and are never NaN."""

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
    """The attribute has a value between two numbers or two strings. None means no bound."""

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
    """All filters match. An empty tuple always matches."""

    filters: tuple[Filter, ...]


@dataclass(frozen=True)
class AnyOf:
    """At least one filter matches. An empty tuple never matches."""

    filters: tuple[Filter, ...]


@dataclass(frozen=True)
class Not:
    """The filter does not match."""

    filter: Filter


Filter = Equals | In | Range | Exists | AllOf | AnyOf | Not


def values_of(value: AttributeValue) -> Sequence[Scalar]:
    """Returns the elements of a list, or a single value as the only element."""
    return value if isinstance(value, list) else [value]


def kind_of(value: Scalar) -> Kind:
    """Returns the type of a value. Unlike in Python, a boolean is not a number."""
    if isinstance(value, str):
        return "string"
    return "boolean" if isinstance(value, bool) else "number"
