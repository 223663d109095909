"""Compares two runs: does B differ from A by more than noise?

Each side is one run or several repeats, which are resampled. A difference is beyond noise when the middle 95 % of the
resampled ratios do not contain 1.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from loadtest.analysis.likeness import differences
from loadtest.analysis.resampling import FIGURES, LEAST_REPEATS, Floats, Side
from loadtest.analysis.summary import Summary
from loadtest.analysis.timeline import Timeline
from loadtest.errors import ResultsError

LEAST_SECONDS = 5
LEAST = 1e-12
"""Stands for 0, which has no logarithm."""

MOST_CACHED_APART = 0.1
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Row:
    """One figure of both sides.

    Attributes:
        name: The figure.
        unit: `ms`, `/s` or `%`.
        a, b: Its values.
        ratio: B / A; for a share, B - A.
        low, high: Ends of the 95 % interval of `ratio`.
        more_is_better: Whether a higher value is better.
    """

    name: str
    unit: str
    a: float
    b: float
    ratio: float
    low: float
    high: float
    more_is_better: bool = False

    @property
    def neutral(self) -> float:
        """The ratio, or difference, of equal sides."""
        return 0.0 if self.unit == "%" else 1.0

    @property
    def beyond_noise(self) -> bool:
        """Whether the interval does not contain `neutral`."""
        return self.low > self.neutral or self.high < self.neutral

    @property
    def worse(self) -> bool:
        """Whether B is worse than A, beyond the noise."""
        return self.beyond_noise and (self.ratio < self.neutral) == self.more_is_better

    def worse_by(self) -> float:
        """Returns how much worse B is at least: relative to A, or absolute for a share; 0 if it is not worse."""
        if not self.worse:
            return 0.0
        near_end = self.low if self.low > self.neutral else self.high
        if self.unit == "%":
            return abs(near_end)
        return 1 - near_end if self.more_is_better else near_end - 1


@dataclass(frozen=True)
class Comparison:
    """All figures of both sides.

    Attributes:
        rows: The figures.
        notes: Warnings: a partial run, runs of different plans, a saturated generator.
        repeats: Repeats of each side.
        seconds: Resampled seconds of each side.
    """

    rows: list[Row]
    notes: list[str]
    repeats: tuple[int, int]
    seconds: tuple[int, int]

    @property
    def conclusive(self) -> bool:
        """Whether each side has enough repeats to estimate the spread between runs."""
        return min(self.repeats) >= LEAST_REPEATS

    @property
    def caution(self) -> str:
        """A warning about the intervals; empty if there are enough repeats."""
        if self.conclusive:
            return ""
        return (
            f"NOT CONCLUSIVE: with fewer than {LEAST_REPEATS} repeats of each side, the intervals cover the noise "
            "within a run only, not between runs."
        )


def compare(a: Sequence[Summary], b: Sequence[Summary], *, seed: int = 0) -> Comparison:
    """Compares two sides, each a list of summaries of one repeat; `seed` seeds the resampling.

    Raises:
        ResultsError: A run is shorter than five seconds.
    """
    random = np.random.default_rng(seed)
    sides = [Side([_whole_seconds(summary) for summary in side]) for side in (a, b)]
    figures = [(side.figures(side.once()), side.figures(side.resampled(random))) for side in sides]
    rows = []
    for name, unit in FIGURES:
        (a_once, a_many), (b_once, b_many) = ((once[name], many[name]) for once, many in figures)
        if np.isnan(a_once).any() or np.isnan(b_once).any() or (unit != "%" and not a_once[0] and not b_once[0]):
            continue  # A side lacks this figure, or both are 0.
        rows.append(_row(name, unit, (float(a_once[0]), a_many), (float(b_once[0]), b_many), sides))
    return Comparison(
        rows, _notes([*a, *b]), (sides[0].repeats, sides[1].repeats), (sides[0].seconds, sides[1].seconds)
    )


def _notes(summaries: list[Summary]) -> list[str]:
    """Returns the warnings that readers need before the figures."""
    notes = []
    for summary in summaries:
        path = summary.runs[0].path
        notes += [f"{path}: PARTIAL: {reason}" for reason in summary.partial]
        if summary.generator.saturated:
            notes.append(f"{path}: GENERATOR SATURATED: {'; '.join(summary.generator.reasons)}")
    cached = [share for summary in summaries if not math.isnan(share := summary.total.cached_share)]
    if cached and max(cached) - min(cached) > MOST_CACHED_APART:
        notes.append(
            f"THE RUNS ARE NOT COMPARABLE: {min(cached):.0%} to {max(cached):.0%} of the answers came from the cache."
        )
    if unlike := differences([run for summary in summaries for run in summary.runs]):
        notes.append(f"THE RUNS ARE NOT COMPARABLE: they differ in {', '.join(unlike)}.")
    return notes


def _whole_seconds(summary: Summary) -> tuple[Timeline, int]:
    """Returns a timeline and its number of whole seconds; the last second with a request may not be whole."""
    plan, timeline = summary.runs[0].header["plan"], summary.timeline
    used = np.flatnonzero(timeline.planned + timeline.dropped)
    last = int(used[-1]) if len(used) else 0
    whole = min(int(plan["seconds"]), last + 1) if plan["count"] is None and not summary.partial else last
    if whole < LEAST_SECONDS:
        path = summary.runs[0].path
        raise ResultsError(f"{path} has {whole} whole seconds; a comparison needs at least {LEAST_SECONDS}")
    return timeline, whole


def _row(name: str, unit: str, a: tuple[float, Floats], b: tuple[float, Floats], sides: list[Side]) -> Row:
    """Returns a figure's row from its value and its resampled values on both sides."""
    tail = (1 - CONFIDENCE) / 2 * 100
    better = name == "achieved rate"
    if unit == "%":
        wide = [once + (many - once) * side.spread for (once, many), side in zip((a, b), sides, strict=True)]
        low, high = np.nanpercentile(wide[1] - wide[0], [tail, 100 - tail])
        return Row(name, unit, a[0], b[0], b[0] - a[0], float(low), float(high), better)
    if a[0] <= 0:  # B has any number of times as much.
        return Row(name, unit, a[0], b[0], math.inf, math.inf, math.inf, better)
    logs = []
    for (once, many), side in zip((a, b), sides, strict=True):
        logarithms, middle = np.log(np.maximum(many, LEAST)), math.log(max(once, LEAST))
        logs.append(middle + (logarithms - middle) * side.spread)
    low, high = np.exp(np.nanpercentile(logs[1] - logs[0], [tail, 100 - tail]))
    return Row(name, unit, a[0], b[0], b[0] / a[0], float(low), float(high), better)
