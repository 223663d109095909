"""The definition of filters, one document at a time: `ColumnsView.select` must agree with it."""

from collections.abc import Mapping

from server.attributes.filter import AllOf, AnyOf, Equals, Exists, Filter, In, Not, Range, Scalar, kind_of, values_of
from server.catalogue.document import AttributeValue
from server.composition import composed


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
            named = [value for name, value in attributes.items() if composed(name) == filter.attribute]
            return any(_value_matches(filter, _composed(each)) for value in named for each in values_of(value))


def within(value: str | float, range: Range) -> bool:
    """Returns whether a value of the range's kind lies within its bounds."""
    # Both bounds are of the value's type, which the type checker cannot know.
    lower, upper = range.lower, range.upper
    if lower is not None and not (value >= lower if range.lower_inclusive else value > lower):  # type: ignore[operator]
        return False
    return upper is None or bool(value <= upper if range.upper_inclusive else value < upper)  # type: ignore[operator]


def _composed(value: Scalar) -> Scalar:
    return composed(value) if isinstance(value, str) else value


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
