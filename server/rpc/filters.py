"""Checks the filters of requests and converts them to the filters of the index.

Only the first violation is reported: paths into deep filters are long, and ten would not fit into gRPC's headers.
"""

import math

from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

from chaja.v1 import AttributeValue
from chaja.v1 import Equals as EqualsMessage
from chaja.v1 import Exists as ExistsMessage
from chaja.v1 import Filter as FilterMessage
from chaja.v1 import FilterList as FilterListMessage
from chaja.v1 import In as InMessage
from chaja.v1 import Range as RangeMessage
from server.attributes.filter import AllOf, AnyOf, Equals, Exists, Filter, In, Not, Range, Scalar
from server.composition import composed
from server.errors import InvalidRequest, Violation

MAX_DEPTH = 32
"""Maximum depth of nested filters. Protobuf allows messages 100 levels deep, and a filter takes two levels."""

MAX_CONDITIONS = 256
"""Maximum conditions in a filter, over all levels. Each costs a pass over an attribute of the whole catalogue."""

MAX_VALUES = 10_000
"""Maximum values of all `In` conditions in a filter."""


def to_filter(message: FilterMessage, *, field: str) -> Filter | None:
    """Returns the filter in a request's `field`, None if it has no condition; raises InvalidRequest."""
    if message.WhichOneof("condition") is None and not len(UnknownFieldSet(message)):
        return None
    return _FilterReader(field).filter(message, field, depth=1)


class _FilterReader:
    """Reads one filter and counts its conditions and values."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._conditions = 0
        self._values = 0

    def filter(self, message: FilterMessage, path: str, *, depth: int) -> Filter:
        """Returns the filter at a path."""
        _check_known(message, path)
        if depth > MAX_DEPTH:
            raise _wrong(path, f"is nested deeper than {MAX_DEPTH} filters: flatten it")
        self._conditions += 1
        if self._conditions > MAX_CONDITIONS:
            raise _wrong(self._root, f"has more than {MAX_CONDITIONS} conditions: combine values with is_in")
        name = message.WhichOneof("condition")
        inner = f"{path}.{name}"
        match name:
            case "equals":
                equals = message.equals
                read: Filter = Equals(_attribute(equals, inner), _value(equals.value, f"{inner}.value"))
            case "is_in":
                read = self._is_in(message.is_in, inner)
            case "range":
                read = _range(message.range, inner)
            case "exists":
                read = Exists(_attribute(message.exists, inner))
            case "all_of":
                read = AllOf(self._filters(message.all_of, inner, depth))
            case "any_of":
                read = AnyOf(self._filters(message.any_of, inner, depth))
            case "none_of":
                read = Not(AnyOf(self._filters(message.none_of, inner, depth)))
            case None:
                raise _wrong(path, "has no condition; send one")
        return read

    def _filters(self, message: FilterListMessage, path: str, depth: int) -> tuple[Filter, ...]:
        _check_known(message, path)
        if not message.filters:
            raise _wrong(f"{path}.filters", "is empty; send at least one, or leave the condition out")
        return tuple(
            self.filter(each, f"{path}.filters[{position}]", depth=depth + 1)
            for position, each in enumerate(message.filters)
        )

    def _is_in(self, message: InMessage, path: str) -> In:
        attribute = _attribute(message, path)
        if not message.values:
            raise _wrong(f"{path}.values", "is empty; send at least one, or leave the condition out")
        self._values += len(message.values)
        if self._values > MAX_VALUES:
            raise _wrong(f"{path}.values", f"brings the filter to more than {MAX_VALUES} values: send fewer")
        values = (_value(each, f"{path}.values[{position}]") for position, each in enumerate(message.values))
        return In(attribute, tuple(values))


def _range(message: RangeMessage, path: str) -> Range:
    attribute = _attribute(message, path)
    lower_name, upper_name = message.WhichOneof("lower"), message.WhichOneof("upper")
    lower = _bound(getattr(message, lower_name), f"{path}.{lower_name}") if lower_name else None
    upper = _bound(getattr(message, upper_name), f"{path}.{upper_name}") if upper_name else None
    if lower is None and upper is None:
        raise _wrong(path, "has no bound; send at_least, above, at_most or below")
    if lower is not None and upper is not None and isinstance(lower, str) != isinstance(upper, str):
        raise _wrong(path, "has bounds of two types; send two numbers or two strings")
    return Range(
        attribute,
        lower=lower,
        upper=upper,
        lower_inclusive=lower_name != "above",
        upper_inclusive=upper_name != "below",
    )


def _attribute(message: EqualsMessage | InMessage | RangeMessage | ExistsMessage, path: str) -> str:
    _check_known(message, path)
    if not message.attribute:
        raise _wrong(f"{path}.attribute", "is empty; name an attribute")
    return composed(message.attribute)


def _bound(message: AttributeValue, path: str) -> str | float:
    value = _value(message, path)
    if isinstance(value, bool):
        raise _wrong(path, "is a boolean; bounds are numbers or strings")
    return value


def _value(message: AttributeValue, path: str) -> Scalar:
    match message.WhichOneof("value"):
        case "string_value":
            return composed(message.string_value)
        case "number_value":
            if math.isnan(message.number_value):
                raise _wrong(path, "is NaN, which equals nothing")
            return message.number_value
        case "bool_value":
            return message.bool_value
        case None:
            raise _wrong(path, "has no value; send a string, a number or a boolean")


def _check_known(message: Message, path: str) -> None:
    """Rejects fields of newer clients: to ignore a condition would select too many documents."""
    if len(UnknownFieldSet(message)):
        raise _wrong(path, "has a field that this server does not know: the server is older than the client")


def _wrong(path: str, description: str) -> InvalidRequest:
    return InvalidRequest([Violation(path, description)])
