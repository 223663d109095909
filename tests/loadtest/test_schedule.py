import itertools
import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from loadtest.errors import UsageError
from loadtest.schedule import Schedule, constant, profile, ramp, replay, step

RATES = st.floats(0.5, 300)
SECONDS = st.floats(0.5, 6)
WARM_UPS = st.one_of(st.just(0.0), st.floats(0.1, 3))

quick = settings(max_examples=60, deadline=None)


def expected_arrivals(schedule: Schedule, until: float) -> float:
    """Returns the integral of the rate from 0 to a time."""
    total, since = 0.0, 0.0
    for segment in schedule.segments:
        passed = min(max(0.0, until - since), segment.seconds)
        slope = (segment.rate_to - segment.rate) / segment.seconds
        total += segment.rate * passed + slope * passed**2 / 2
        since += segment.seconds
    return total


@settings(max_examples=150, deadline=None)
@given(
    st.one_of(
        st.builds(constant, RATES, seconds=SECONDS, warm_up_seconds=WARM_UPS),
        st.builds(ramp, RATES, RATES, seconds=SECONDS, warm_up_seconds=WARM_UPS),
        st.builds(step, RATES, RATES, steps=st.integers(2, 12), seconds=SECONDS, warm_up_seconds=WARM_UPS),
    )
)
def test_arrivals_in_each_second_and_in_total_match_the_rates(schedule: Schedule) -> None:
    times = list(schedule.times())
    assert times == sorted(times)
    measured = [time for time in times if time >= 0]
    assert all(-schedule.warm_up_seconds <= time <= schedule.seconds * (1 + 1e-9) for time in times)
    warm_up_arrivals = schedule.warm_up_seconds * schedule.segments[0].rate
    assert abs(len(times) - len(measured) - warm_up_arrivals) <= 1 + 1e-6
    for second in range(math.ceil(schedule.seconds)):
        until = min(second + 1.0, schedule.seconds)
        in_it = sum(second <= time < until for time in measured)
        assert abs(in_it - (expected_arrivals(schedule, until) - expected_arrivals(schedule, second))) <= 1 + 1e-6
    first = len(times) - len(measured)
    for number, time in enumerate(measured, start=first):
        assert expected_arrivals(schedule, time) + warm_up_arrivals == pytest.approx(number, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(
    ("schedule", "counts"),
    [
        (ramp(10, 50, seconds=4), [15, 25, 35, 45]),
        (step(10, 30, steps=3, seconds=6), [10, 10, 20, 20, 30, 30]),
    ],
    ids=["ramp", "steps"],
)
def test_arrivals_match_hand_computed_values(schedule: Schedule, counts: list[int]) -> None:
    assert np.bincount([int(time + 1e-9) for time in schedule.times()]).tolist() == counts


@quick
@given(st.integers(1, 500), st.integers(1, 5))
def test_whole_rates_and_seconds_give_exactly_their_product(rate: int, seconds: int) -> None:
    assert len(list(constant(rate, seconds=seconds).times())) == rate * seconds


@quick
@example(218, 130, 26, 17)  # The sum of its steps is 2958.0000000000005 in floats.
@given(st.integers(1, 300), st.integers(1, 300), st.integers(2, 30), st.integers(1, 5))
def test_steps_give_the_sum_of_their_arrivals(rate: int, rate_to: int, steps: int, seconds: int) -> None:
    arrivals = Fraction(seconds * (rate + rate_to), 2)
    times = list(step(rate, rate_to, steps=steps, seconds=seconds).times())
    assert len(times) == math.ceil(arrivals)
    assert times == sorted(times)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_gaps_of_a_poisson_process_are_exponential(seed: int) -> None:
    rate = 200.0
    times = list(constant(rate, seconds=200, poisson=True, seed=seed).times())
    gaps = np.diff(times)
    assert min(times) > 0
    assert gaps.min() >= 0
    assert gaps.mean() == pytest.approx(1 / rate, rel=0.03)
    assert gaps.var() == pytest.approx(1 / rate**2, rel=0.06)
    # The counts per second follow a Poisson distribution: the variance equals the mean.
    counts = np.bincount(np.floor(times).astype(int), minlength=200)
    assert counts.mean() == pytest.approx(rate, rel=0.03)
    assert counts.var() == pytest.approx(rate, rel=0.5)
    # Successive gaps are uncorrelated.
    assert abs(np.corrcoef(gaps[:-1], gaps[1:])[0, 1]) < 0.03


def test_only_the_same_seed_gives_the_same_poisson_process() -> None:
    first, again, other = (
        list(constant(50, seconds=5, warm_up_seconds=1, poisson=True, seed=seed).times()) for seed in (7, 7, 8)
    )
    assert first == again
    assert first != other


@quick
@given(st.floats(1, 100), st.floats(0.5, 4), st.booleans())
def test_the_warm_up_is_below_0_and_at_the_first_rate(rate: float, warm_up: float, poisson: bool) -> None:
    schedule = constant(rate, seconds=2, warm_up_seconds=warm_up, poisson=poisson)
    times = list(schedule.times())
    assert times == sorted(times)
    assert all(time >= -warm_up for time in times)
    assert schedule.seconds == 2
    if not poisson:
        assert times[0] == -warm_up


def test_a_schedule_without_duration_is_endless() -> None:
    schedule = constant(1000.0)
    assert schedule.seconds == math.inf
    assert list(itertools.islice(schedule.times(), 3)) == pytest.approx([0, 0.001, 0.002])
    times = itertools.islice(constant(1000.0, warm_up_seconds=1, poisson=True).times(), 5000)
    assert sum(time < 0 for time in times) == pytest.approx(1000, rel=0.2)


@quick
@given(st.lists(st.floats(0, 1000), min_size=2, max_size=50).map(sorted), st.floats(0.1, 10), st.floats(-1e9, 1e9))
def test_a_replay_keeps_the_gaps_at_its_speed(gaps: list[float], speed: float, epoch: float) -> None:
    recorded = [epoch + time for time in gaps]
    schedule = replay(recorded, speed=speed)
    times = list(schedule.times())
    assert times[0] == 0
    assert times == pytest.approx([(time - recorded[0]) / speed for time in recorded])
    assert schedule.seconds == times[-1]
    assert schedule.kind == "replay"


@pytest.mark.parametrize(
    ("timestamps", "speed", "message"),
    [
        ([1.0], 1.0, "at least two"),
        ([], 1.0, "at least two"),
        ([1.0, 3.0, 2.0], 1.0, "timestamp 3 is before the previous one"),
        ([1.0, 2.0], 0.0, "speed"),
        ([1.0, 2.0], -1.0, "speed"),
        ([1.0, 2.0], math.nan, "speed"),
        ([1.0, 2.0], math.inf, "speed"),
        ([1.0, math.nan, 2.0], 1.0, "finite"),
        ([1.0, math.inf], 1.0, "finite"),
    ],
)
def test_an_invalid_replay_is_rejected(timestamps: list[float], speed: float, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        replay(timestamps, speed=speed)


@pytest.mark.parametrize("wrong", [0.0, -1.0, math.nan, -math.inf, math.inf])
def test_rates_and_durations_are_above_0_and_only_a_constant_schedule_is_endless(wrong: float) -> None:
    makers: list[Callable[[], Schedule]] = [
        lambda: constant(wrong),
        lambda: constant(1, seconds=wrong),
        lambda: ramp(wrong, 1, seconds=1),
        lambda: ramp(1, wrong, seconds=1),
        lambda: ramp(1, 1, seconds=wrong),
        lambda: step(1, wrong, steps=2, seconds=1),
        lambda: step(1, 2, steps=2, seconds=wrong),
    ]
    if wrong == math.inf:
        del makers[1]
    for make in makers:
        with pytest.raises(UsageError, match=r"must be above 0|must be from 0\.001"):
            make()


@pytest.mark.parametrize("wrong", [-1.0, math.nan, math.inf])
def test_an_invalid_warm_up_is_rejected(wrong: float) -> None:
    with pytest.raises(UsageError, match="warm-up"):
        constant(1, seconds=1, warm_up_seconds=wrong)


def test_a_schedule_of_one_step_is_rejected() -> None:
    with pytest.raises(UsageError, match="from 2 to 10,000 steps"):
        step(1, 2, steps=1, seconds=1)


def test_a_profile_is_a_list_of_ramps_and_rates() -> None:
    schedule = profile([(0, 100, 2), (100, 100, 1), (0, 0, 1), (100, 0, 2)])
    times = list(schedule.times())
    assert schedule.seconds == 6
    counts = [sum(low <= time < low + 1 for time in times) for low in range(6)]
    assert counts == pytest.approx([25, 75, 100, 0, 75, 25], abs=1)
    assert times == sorted(times)


def test_a_profile_from_0_warms_up_at_its_mean_rate() -> None:
    schedule = profile([(0, 100, 2)], warm_up_seconds=2)
    assert sum(time < 0 for time in schedule.times()) == 100


def test_a_profile_may_be_a_poisson_process() -> None:
    schedule = profile([(0, 1000, 2), (1000, 1000, 2)], poisson=True, seed=1)
    assert len(list(schedule.times())) == pytest.approx(3000, rel=0.1)
    assert (schedule.kind, schedule.poisson) == ("poisson profile", True)


@pytest.mark.parametrize("parts", [[], [(0, 0, 5)], [(-1, 5, 5)], [(5, math.inf, 5)], [(5, 5, 0)], [(5, 5, math.inf)]])
def test_an_invalid_profile_is_rejected(parts: list[tuple[float, float, float]]) -> None:
    with pytest.raises(UsageError):
        profile(parts)
