import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from loadtest.analysis import bins

NANOSECONDS = st.floats(3, 11).map(lambda exponent: int(10**exponent))  # From a microsecond to 100 seconds.
PERCENTS = [0.0, 1.0, 50.0, 90.0, 99.0, 99.9, 100.0]


def counted(nanoseconds: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.bincount(bins.bins_of(nanoseconds), minlength=bins.COUNT)


@settings(max_examples=100, deadline=None)
@given(st.lists(NANOSECONDS, min_size=1, max_size=300))
def test_percentiles_are_off_by_at_most_half_a_percent(values: list[int]) -> None:
    array = np.array(values)
    exact = np.percentile(array, PERCENTS, method="inverted_cdf") / 1e9
    assert bins.percentiles(counted(array), PERCENTS) == pytest.approx(exact, rel=0.005)


@pytest.mark.parametrize("count", [10, 100, 151, 1000, 1001, 10_000])
def test_a_percentile_is_the_value_of_its_rank(count: int) -> None:
    array = np.arange(1, count + 1, dtype=np.int64) * 1_000_000
    for percent in (50.0, 90.0, 99.0, 99.9, 99.99):
        exact = -(-int(percent * 100) * count // 10_000) / 1000
        assert bins.percentiles(counted(array), [percent])[0] == pytest.approx(exact, rel=0.0026)


def test_the_bins_are_in_order_and_have_the_documented_width() -> None:
    values = np.geomspace(bins.SHORTEST_NS, bins.LONGEST_NS, 200_000).astype(np.int64)
    found = bins.bins_of(values)
    assert found[0] == 0
    assert found[-1] < bins.COUNT
    assert np.all(np.diff(found) >= 0)
    assert set(found.tolist()) == set(range(found[-1] + 1))
    for index in (0, 1000, 4000):
        within = values[found == index]
        assert within.max() / within.min() <= 1.005 + 1e-3


def test_durations_out_of_range_fall_into_the_outer_bins() -> None:
    counts = counted(np.array([-5, 0, 1, 2**62]))
    assert (counts[0], counts[-2:].sum(), counts.sum()) == (3, 1, 4)


def test_the_percentile_of_no_durations_is_nan() -> None:
    assert len(counted(np.array([], dtype=np.int64))) == bins.COUNT
    assert np.isnan(bins.percentiles(np.zeros(bins.COUNT, dtype=np.int64), [50.0, 99.0])).all()


def test_percentiles_of_many_histograms_are_computed_at_once() -> None:
    one, other = np.array([1_000_000]), np.array([2_000_000, 3_000_000])
    counts = np.stack([counted(one), np.zeros(bins.COUNT, dtype=np.int64), counted(other)])
    found = bins.percentiles(counts, [50.0, 100.0])
    assert found.shape == (3, 2)
    assert found[0] == pytest.approx([0.001, 0.001], rel=0.005)
    assert np.isnan(found[1]).all()
    assert found[2] == pytest.approx([0.002, 0.003], rel=0.005)
    assert bins.percentiles(counts.sum(axis=0), [50.0])[0] == pytest.approx(0.002, rel=0.005)
