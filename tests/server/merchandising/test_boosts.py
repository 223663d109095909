"""The values that boosts give to documents."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.attributes.columns import Columns
from server.catalogue.document import AttributeValue
from server.merchandising.boosts import boost_values
from tests.server.merchandising.making import boost, rule

DAY = 86_400.0


def values(attributes: list[dict[str, AttributeValue]], *, seconds: float = 0.0, **kind: Any) -> list[float]:
    columns = Columns()
    columns.append(attributes)
    (made,) = rule(boosts=[boost("a", **kind)]).boosts
    slots = np.arange(len(attributes))[::-1]
    found: list[float] = boost_values(made, columns.view(), slots, seconds=seconds)[::-1].tolist()
    return found


def test_a_number_has_half_of_the_value_at_half_value() -> None:
    made = values(
        [{"a": 0}, {"a": 10}, {"a": 30}, {"a": -5}, {"a": 1e308}, {"a": 1e-308}, {}, {"a": "10"}], half_value=10
    )
    assert made == pytest.approx([0, 0.5, 0.75, 0, 1, 0, 0, 0])


def test_a_time_loses_half_of_the_value_with_each_half_life() -> None:
    documents: list[dict[str, AttributeValue]] = [
        {"a": "1970-01-11"},
        {"a": "1970-01-01T09:00:00+09:00"},
        {"a": 10 * DAY},
        {"a": "1970-01-06T00:00:00Z"},
        {"a": "2070-01-01"},
        {"a": "soon"},
        {"a": True},
        {"a": "0001-01-01"},
    ]
    made = values(documents, seconds=10 * DAY, half_life_days=5)
    assert made == pytest.approx([1, 0.25, 1, 0.5, 1, 0, 0, 0])


def test_an_equal_value_of_the_same_type_earns_the_share() -> None:
    documents: list[dict[str, AttributeValue]] = [{"a": "1"}, {"a": 1}, {"a": True}, {"a": ["0", "1"]}, {}]
    assert values(documents, equals="1") == [1, 0, 0, 1, 0]
    assert values(documents, equals=1) == [0, 1, 0, 0, 0]
    assert values(documents, equals=True) == [0, 0, 1, 0, 0]


def test_a_list_has_its_highest_value() -> None:
    assert values([{"a": [0, 30, 10]}, {"a": []}, {"a": 10}], half_value=10) == pytest.approx([0.75, 0, 0.5])


scalars = st.one_of(
    st.text(max_size=5), st.booleans(), st.integers(-(2**53), 2**53), st.floats(allow_nan=False, allow_infinity=False)
)
kinds = st.sampled_from([{"half_value": 1e-300}, {"half_value": 1e300}, {"half_life_days": 0.001}, {"equals": 1}])


@given(st.lists(st.dictionaries(st.just("a"), scalars | st.lists(scalars, max_size=3))), kinds)
def test_values_are_from_0_to_1(attributes: list[dict[str, AttributeValue]], kind: dict[str, Any]) -> None:
    assert all(0 <= each <= 1 for each in values(attributes, seconds=1e9, **kind))
