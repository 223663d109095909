from typing import Any

import pytest
from google.protobuf.json_format import ParseDict

from chaja.v1 import AttributeValue, Equals, Filter, FilterList, In, Range
from server.attributes import filter as filters
from server.errors import InvalidRequest, Violation
from server.rpc.errors import refusal_of
from server.rpc.filters import MAX_CONDITIONS, MAX_DEPTH, MAX_VALUES, to_filter

A = Filter(equals=Equals(attribute="a", value=AttributeValue(bool_value=False)))
A_READ = filters.Equals("a", False)


def nested(depth: int) -> Filter:
    filter = A
    for _ in range(depth - 1):
        filter = Filter(none_of=FilterList(filters=[filter]))
    return filter


def violation_of(message: Filter) -> Violation:
    with pytest.raises(InvalidRequest) as raised:
        to_filter(message, field="filter")
    (violation,) = raised.value.violations
    return violation


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"equals": {"attribute": "a", "value": {"string_value": ""}}}, filters.Equals("a", "")),
        ({"equals": {"attribute": "a", "value": {"number_value": 0}}}, filters.Equals("a", 0.0)),
        ({"equals": {"attribute": "a", "value": {"bool_value": False}}}, filters.Equals("a", False)),
        (
            {"is_in": {"attribute": "a", "values": [{"string_value": "x"}, {"number_value": 1}, {"bool_value": True}]}},
            filters.In("a", ("x", 1.0, True)),
        ),
        ({"range": {"attribute": "a", "at_least": {"number_value": 1}}}, filters.Range("a", 1.0, None)),
        (
            {"range": {"attribute": "a", "above": {"number_value": 1}, "at_most": {"number_value": 2}}},
            filters.Range("a", 1.0, 2.0, lower_inclusive=False),
        ),
        (
            {"range": {"attribute": "a", "at_least": {"string_value": "x"}, "below": {"string_value": "y"}}},
            filters.Range("a", "x", "y", upper_inclusive=False),
        ),
        ({"exists": {"attribute": "a"}}, filters.Exists("a")),
        ({"all_of": {"filters": [{"exists": {"attribute": "a"}}]}}, filters.AllOf((filters.Exists("a"),))),
        ({"any_of": {"filters": [{"exists": {"attribute": "a"}}]}}, filters.AnyOf((filters.Exists("a"),))),
        (
            {"none_of": {"filters": [{"exists": {"attribute": "a"}}]}},
            filters.Not(filters.AnyOf((filters.Exists("a"),))),
        ),
    ],
)
def test_each_condition_is_read(content: dict[str, Any], expected: filters.Filter) -> None:
    read = to_filter(ParseDict(content, Filter()), field="filter")
    assert read == expected
    assert repr(read) == repr(expected)  # 1, 1.0 and True are equal to Python.


def test_a_filter_without_a_condition_is_none() -> None:
    assert to_filter(Filter(), field="filter") is None


X = {"string_value": "x"}
ONE = {"number_value": 1}


@pytest.mark.parametrize(
    ("content", "field", "description"),
    [
        ({"equals": {"value": X}}, "filter.equals.attribute", "is empty"),
        ({"exists": {}}, "filter.exists.attribute", "is empty"),
        ({"equals": {"attribute": "a"}}, "filter.equals.value", "has no value"),
        ({"equals": {"attribute": "a", "value": {"number_value": "NaN"}}}, "filter.equals.value", "is NaN"),
        ({"is_in": {"attribute": "a"}}, "filter.is_in.values", "is empty"),
        ({"is_in": {"attribute": "a", "values": [X, {}]}}, "filter.is_in.values[1]", "has no value"),
        ({"range": {"attribute": "a"}}, "filter.range", "has no bound"),
        ({"range": {"attribute": "a", "above": {}}}, "filter.range.above", "has no value"),
        ({"range": {"attribute": "a", "below": {"bool_value": True}}}, "filter.range.below", "is a boolean"),
        ({"range": {"attribute": "a", "above": X, "below": ONE}}, "filter.range", "has bounds of two types"),
        ({"all_of": {}}, "filter.all_of.filters", "is empty"),
        ({"none_of": {"filters": [{}]}}, "filter.none_of.filters[0]", "has no condition"),
        (
            {"all_of": {"filters": [{"exists": {"attribute": "a"}}, {"any_of": {"filters": [{"range": {}}]}}]}},
            "filter.all_of.filters[1].any_of.filters[0].range.attribute",
            "is empty",
        ),
    ],
)
def test_a_violation_is_named_by_its_path(content: dict[str, Any], field: str, description: str) -> None:
    violation = violation_of(ParseDict(content, Filter()))
    assert violation.field == field
    assert violation.description.startswith(description)


def test_depth_is_bounded_and_the_longest_path_fits_into_headers() -> None:
    read = to_filter(nested(MAX_DEPTH), field="filter")
    for _ in range(MAX_DEPTH - 1):
        assert isinstance(read, filters.Not)
        assert isinstance(read.filter, filters.AnyOf)
        (read,) = read.filter.filters
    assert read == A_READ
    with pytest.raises(InvalidRequest, match="is nested deeper than 32 filters") as raised:
        to_filter(nested(MAX_DEPTH + 1), field="requests[99].filter")
    refusal = refusal_of(raised.value, "path")
    assert 3 * len(refusal.message) + sum(len(value) * 4 / 3 for _, value in refusal.metadata) < 8000


def test_conditions_are_counted_on_all_levels() -> None:
    pair = Filter(any_of=FilterList(filters=[A, A]))
    most = [pair] * (MAX_CONDITIONS // 3)
    assert to_filter(Filter(all_of=FilterList(filters=most)), field="filter") is not None
    violation = violation_of(Filter(all_of=FilterList(filters=[*most, A])))
    assert violation.field == "filter"
    assert violation.description.startswith("has more than 256 conditions")


def test_values_are_counted_in_the_whole_filter() -> None:
    half = Filter(is_in=In(attribute="a", values=[AttributeValue(string_value="x")] * (MAX_VALUES // 2)))
    assert to_filter(Filter(any_of=FilterList(filters=[half, half])), field="filter") is not None
    one = Filter(is_in=In(attribute="a", values=[AttributeValue(string_value="x")]))
    violation = violation_of(Filter(any_of=FilterList(filters=[half, half, one])))
    assert violation.field == "filter.any_of.filters[2].is_in.values"
    assert violation.description.startswith("brings the filter to more than 10000 values")


UNKNOWN_FIELD = bytes([15 << 3 | 2, 0])
"""Field 15, an empty message."""


def test_an_unknown_condition_is_rejected_and_not_ignored() -> None:
    description = "has a field that this server does not know"
    assert violation_of(Filter.FromString(UNKNOWN_FIELD)).description.startswith(description)
    newer = Range.FromString(
        Range(attribute="a", above=AttributeValue(number_value=1)).SerializeToString() + UNKNOWN_FIELD
    )
    violation = violation_of(Filter(range=newer))
    assert violation.field == "filter.range"
    assert violation.description.startswith(description)
