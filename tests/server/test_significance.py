import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.significance import DRAWS, corrected, intervals, p_values


def test_an_interval_has_the_width_that_theory_gives() -> None:
    values = (np.arange(1000) % 2).astype(float)
    low, high = intervals(values[None])[0]
    half = 1.96 * 0.5 / 1000**0.5
    assert low == pytest.approx(0.5 - half, abs=0.005)
    assert high == pytest.approx(0.5 + half, abs=0.005)


def test_equal_values_have_an_interval_of_one_point_and_a_single_query_has_none() -> None:
    assert intervals(np.ones((1, 10))).tolist() == [[1, 1]]
    assert np.isnan(intervals(np.ones((1, 1)))).all()


def test_a_clear_difference_is_significant_and_none_is_not() -> None:
    random = np.random.default_rng(1)
    noise = random.choice([-1.0, 0.0, 1.0], 500)
    clear, none = noise + (random.random(500) < 0.3), np.zeros(500)
    found = p_values(np.stack([clear, none]))
    assert found[0] < 0.001
    assert found[1] == 1


def test_p_values_of_few_queries_are_those_of_all_signs() -> None:
    # Of the 8 ways to sign three equal differences, 2 are as far from 0.
    assert p_values(np.ones((1, 3)))[0] == pytest.approx(0.25, abs=0.02)


def test_a_p_value_is_never_zero() -> None:
    assert p_values(np.ones((1, 100)))[0] == pytest.approx(1 / (DRAWS + 1))


def test_p_values_are_corrected_by_holm() -> None:
    assert corrected([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert corrected([]) == []


@given(st.lists(st.floats(0, 1), max_size=8))
def test_corrected_p_values_are_not_smaller_and_keep_their_order(values: list[float]) -> None:
    found = corrected(values)
    assert all(before <= after <= 1 for before, after in zip(values, found, strict=True))
    assert [found[place] for place in np.argsort(values, kind="stable")] == sorted(found)
