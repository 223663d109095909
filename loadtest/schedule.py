"""The schedules of open loops: latencies are measured from their planned times.

A schedule is an endless or finite sequence of planned times in seconds from the start of the measured part; those of
the warm-up are negative. Every worker process has the same sequence, and worker `w` of `n` takes the arrivals `w`,
`w + n`, …

The times are arrivals at rate 1 (evenly spaced, or a Poisson process), mapped through the inverse of the rate's
integral over time. A ramp therefore has exactly as many arrivals in every second as its rate says.
"""

import itertools
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from loadtest.errors import UsageError

LOWEST_RATE, HIGHEST_RATE = 0.001, 10_000_000.0
"""Requests a second. Other rates are typing errors: less than four requests an hour, or more than any machine sends."""

MOST_STEPS = 10_000

EXCEPT_ROUNDING = 1 - 1e-12
"""Excludes an arrival at the very end of a schedule, which rounding of summed rates would sometimes include."""


@dataclass(frozen=True, kw_only=True)
class Segment:
    """A period in which the rate changes linearly.

    Attributes:
        seconds: Length; infinite in the last segment of a schedule that only a count ends.
        rate: Requests a second at its start.
        rate_to: Requests a second at its end.
    """

    seconds: float
    rate: float
    rate_to: float

    @property
    def arrivals(self) -> float:
        """Number of arrivals in it."""
        return self.seconds * (self.rate + self.rate_to) / 2

    def time_of(self, arrival: float) -> float:
        """Returns the time of the arrival with this (fractional) number, in seconds from the segment's start."""
        if not arrival:  # A ramp that begins at 0 has no rate to divide by.
            return 0.0
        slope = (self.rate_to - self.rate) / self.seconds
        # The root of rate·t + slope·t²/2 = arrival, in the form that also holds for a slope of 0.
        return 2 * arrival / (self.rate + math.sqrt(max(0.0, self.rate**2 + 2 * slope * arrival)))


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Planned times of an open loop.

    Attributes:
        kind: Name in reports: constant, poisson, ramp, step, profile or replay.
        segments: The rates; empty for a replay.
        timestamps: The planned times of a replay, ascending from 0.
        warm_up_seconds: Time of uncounted requests before 0.
        poisson: Whether arrivals are a Poisson process rather than evenly spaced.
        seed: Seed of the Poisson process.
    """

    kind: str
    segments: tuple[Segment, ...] = ()
    timestamps: tuple[float, ...] = ()
    warm_up_seconds: float = 0.0
    poisson: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.warm_up_seconds < math.inf:
            raise UsageError(f"the warm-up (--warm-up) must be finite and at least 0 s, not {self.warm_up_seconds:g} s")

    @property
    def seconds(self) -> float:
        """Length of the measured part; infinite where only a count ends it."""
        if self.timestamps:
            return self.timestamps[-1]
        return sum(segment.seconds for segment in self.segments)

    def times(self) -> Iterator[float]:
        """Yields the planned times in seconds, ascending; those of the warm-up are below 0."""
        if self.timestamps:
            yield from self.timestamps
            return
        numbers = self._unit_arrivals()
        number = next(numbers)
        passed = 0.0  # Arrivals of earlier segments.
        since = -self.warm_up_seconds
        first = self.segments[0].rate or self.segments[0].rate_to / 2  # A ramp from 0 warms up at its mean rate.
        warm_up = Segment(seconds=self.warm_up_seconds, rate=first, rate_to=first)
        for segment in (warm_up, *self.segments) if self.warm_up_seconds else self.segments:
            until = passed + segment.arrivals
            while number < until * EXCEPT_ROUNDING:
                yield since + segment.time_of(max(0.0, number - passed))
                number = next(numbers)
            passed = until
            since += segment.seconds

    def _unit_arrivals(self) -> Iterator[float]:
        """Yields the arrivals of a process with rate 1."""
        if not self.poisson:
            yield from itertools.count(0.0)
        gaps = random.Random(self.seed)  # noqa: S311  not for secrets
        time = gaps.expovariate(1.0)
        while True:
            yield time
            time += gaps.expovariate(1.0)


def constant(
    rate: float, *, seconds: float = math.inf, warm_up_seconds: float = 0.0, poisson: bool = False, seed: int = 0
) -> Schedule:
    """Returns a schedule of one rate, evenly spaced or as a Poisson process.

    Raises:
        UsageError: The rate is absurd, or the duration is not above 0.
    """
    _check_rates(rate)
    if seconds != math.inf:
        _check_seconds(seconds)
    kind, segments = "poisson" if poisson else "constant", (Segment(seconds=seconds, rate=rate, rate_to=rate),)
    return Schedule(kind=kind, segments=segments, warm_up_seconds=warm_up_seconds, poisson=poisson, seed=seed)


def ramp(rate: float, rate_to: float, *, seconds: float, warm_up_seconds: float = 0.0) -> Schedule:
    """Returns a schedule whose rate changes linearly from `rate` to `rate_to`."""
    _check_rates(rate, rate_to)
    _check_seconds(seconds)
    segment = Segment(seconds=seconds, rate=rate, rate_to=rate_to)
    return Schedule(kind="ramp", segments=(segment,), warm_up_seconds=warm_up_seconds)


def step(rate: float, rate_to: float, *, steps: int, seconds: float, warm_up_seconds: float = 0.0) -> Schedule:
    """Returns a schedule that goes from `rate` to `rate_to` in `steps` equally long steps."""
    _check_rates(rate, rate_to)
    _check_seconds(seconds)
    if not 2 <= steps <= MOST_STEPS:
        raise UsageError(f"a step schedule needs from 2 to {MOST_STEPS:,} steps (--steps), not {steps}")
    rates = [rate + (rate_to - rate) * number / (steps - 1) for number in range(steps)]
    segments = tuple(Segment(seconds=seconds / steps, rate=each, rate_to=each) for each in rates)
    return Schedule(kind="step", segments=segments, warm_up_seconds=warm_up_seconds)


def profile(
    parts: Sequence[tuple[float, float, float]],
    *,
    warm_up_seconds: float = 0.0,
    poisson: bool = False,
    seed: int = 0,
) -> Schedule:
    """Returns a schedule of parts, each a rate at its start, a rate at its end, and its seconds; rates may be 0.

    Raises:
        UsageError: A rate or a duration is out of range, or every rate is 0.
    """
    for rate, rate_to, seconds in parts:
        _check_rates(*(each for each in (rate, rate_to) if each))
        _check_seconds(seconds)
    if not any(rate or rate_to for rate, rate_to, _ in parts):
        raise UsageError("a profile (--profile) needs a rate above 0")
    segments = tuple(Segment(seconds=seconds, rate=rate, rate_to=rate_to) for rate, rate_to, seconds in parts)
    kind = "poisson profile" if poisson else "profile"
    return Schedule(kind=kind, segments=segments, warm_up_seconds=warm_up_seconds, poisson=poisson, seed=seed)


def replay(timestamps: Sequence[float], *, speed: float = 1.0) -> Schedule:
    """Returns a schedule that repeats recorded arrivals, `speed` times as fast; the first one is at 0.

    Raises:
        UsageError: Fewer than two timestamps, timestamps out of order, or a speed not above 0.
    """
    if not (speed > 0 and math.isfinite(speed)):
        raise UsageError(f"the replay's speed (--replay-speed) must be above 0, not {speed:g}")
    if len(timestamps) < 2:
        raise UsageError("a replay needs at least two timestamps (--timestamps or --queries)")
    if not all(map(math.isfinite, timestamps)):
        raise UsageError("a replay's timestamps must be finite numbers")
    for number, (earlier, later) in enumerate(itertools.pairwise(timestamps), start=2):
        if later < earlier:
            raise UsageError(f"timestamp {number} is before the previous one: {later:f} after {earlier:f}")
    return Schedule(kind="replay", timestamps=tuple((time - timestamps[0]) / speed for time in timestamps))


def _check_rates(*rates: float) -> None:
    for rate in rates:
        if not LOWEST_RATE <= rate <= HIGHEST_RATE:
            raise UsageError(
                f"a rate (--rate, --rate-to) must be from {LOWEST_RATE:g} to {HIGHEST_RATE:,.0f} requests a second, "
                f"not {rate:g}"
            )


def _check_seconds(seconds: float) -> None:
    if not (seconds > 0 and math.isfinite(seconds)):
        raise UsageError(f"a duration (--duration) must be above 0, not {seconds:g}")
