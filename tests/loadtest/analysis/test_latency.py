import math

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.analysis.latency import LONGEST_NS, Latencies, rank_of

NANOSECONDS = st.floats(3, 11).map(lambda exponent: int(10**exponent))  # From a microsecond to 100 seconds.
PERCENTS = [0.0, 1.0, 50.0, 90.0, 99.0, 99.9, 100.0]


def latencies(*blocks: list[int]) -> Latencies:
    histogram = Latencies()
    for block in blocks:
        histogram.add(np.array(block, dtype=np.int64))
    return histogram


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(NANOSECONDS, max_size=150), min_size=1, max_size=3).filter(any))
def test_percentiles_match_numpy_within_a_thousandth(blocks: list[list[int]]) -> None:
    histogram = latencies(*blocks)
    values = np.concatenate([np.array(block, dtype=np.int64) for block in blocks])
    exact = np.percentile(values, PERCENTS, method="inverted_cdf") / 1e9
    assert [histogram.percentile(percent) for percent in PERCENTS] == pytest.approx(list(exact), rel=0.001)
    assert histogram.count == len(values)
    assert histogram.mean == pytest.approx(values.mean() / 1e9)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, LONGEST_NS), min_size=1, max_size=60))
def test_counts_match_those_of_the_library(values: list[int]) -> None:
    by_itself = HdrHistogram(1, LONGEST_NS, 3)
    for value in values:
        by_itself.record_value(value)
    ours = HdrHistogram.decode(latencies(values).encoded())
    for percent in PERCENTS:
        assert ours.get_value_at_percentile(percent) == by_itself.get_value_at_percentile(percent)
    assert ours.total_count == len(values)


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 100_000), st.integers(0, 10_000))
def test_the_rank_is_the_smallest_that_covers_the_percentage(count: int, hundredths: int) -> None:
    rank = rank_of(hundredths / 100, count)
    assert 1 <= rank <= count
    assert rank * 10_000 >= hundredths * count
    assert rank == 1 or (rank - 1) * 10_000 < hundredths * count


def test_durations_out_of_range_count_as_the_limits() -> None:
    histogram = latencies([-7, 0, 2 * LONGEST_NS])
    assert histogram.count == 3
    assert histogram.percentile(1) == pytest.approx(1e-9)
    assert histogram.percentile(100) == pytest.approx(3600, rel=0.001)


def test_figures_of_no_durations_are_nan() -> None:
    for histogram in (Latencies(), latencies([])):
        assert histogram.count == 0
        assert math.isnan(histogram.percentile(99))
        assert math.isnan(histogram.mean)
        assert histogram.spectrum() == [] or histogram.spectrum()[-1][2] == 0


def test_nan_seconds_are_not_counted() -> None:
    histogram = Latencies()
    histogram.add_seconds(np.array([math.nan, 0.001, math.nan, 0.003], dtype=np.float32))
    assert histogram.count == 2
    assert histogram.mean == pytest.approx(0.002, rel=1e-6)
    histogram.add_seconds(np.array([math.nan]))
    assert histogram.count == 2


def test_the_spectrum_ends_with_all_durations() -> None:
    histogram = latencies([number * 10_000 for number in range(1, 1001)])
    percents, values, counts = zip(*histogram.spectrum(), strict=True)
    assert list(percents) == sorted(percents)
    assert list(values) == sorted(values)
    assert list(counts) == sorted(counts)
    assert (percents[-1], counts[-1]) == (100.0, 1000)
    assert values[-1] == pytest.approx(0.010, rel=0.001)
