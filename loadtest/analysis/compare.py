"""Compares two runs: does B differ from A by more than noise?

Each side is one run or several repeats. Blocks of its seconds are resampled with replacement (bootstrap; Efron 1979).
With three or more repeats, the repeats are resampled too, because runs differ more than the seconds of one run. A
difference is beyond noise when the middle 95 % of the resampled ratios do not contain 1.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loadtest.analysis import bins
from loadtest.analysis.likeness import differences
from loadtest.analysis.summary import Summary, summarize
from loadtest.analysis.timeline import Timeline
from loadtest.codes import OK
from loadtest.errors import ResultsError
from loadtest.stages import STAGES

RESAMPLES = 1000
LEAST_REPEATS = 3
"""With fewer repeats, the spread between runs is unknown."""

LEAST_SECONDS = 5
LEAST = 1e-12
"""Stands for 0, which has no logarithm."""

MOST_CACHED_APART = 0.1
CONFIDENCE = 0.95
Floats = NDArray[np.float64]


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


def compare(a: Sequence[Path], b: Sequence[Path], *, seed: int = 0) -> Comparison:
    """Compares two sides, each a list of results files with one repeat each; `seed` seeds the resampling.

    Raises:
        ResultsError: A file cannot be read, or a run is shorter than five seconds.
    """
    random = np.random.default_rng(seed)
    summaries = [[summarize([path]) for path in paths] for paths in (a, b)]
    everything = [summary for side in summaries for summary in side]
    sides = [_Side([_whole_seconds(summary) for summary in side]) for side in summaries]
    figures = [(side.figures(side.once()), side.figures(side.resampled(random))) for side in sides]
    rows = []
    for name, unit in FIGURES:
        (a_once, a_many), (b_once, b_many) = ((once[name], many[name]) for once, many in figures)
        if np.isnan(a_once).any() or np.isnan(b_once).any() or (unit != "%" and not a_once[0] and not b_once[0]):
            continue  # A side lacks this figure, or both are 0.
        rows.append(_row(name, unit, (float(a_once[0]), a_many), (float(b_once[0]), b_many), sides))
    return Comparison(
        rows, _notes(everything), (sides[0].repeats, sides[1].repeats), (sides[0].seconds, sides[1].seconds)
    )


PERCENTS = [50.0, 90.0, 99.0]
FIGURES: list[tuple[str, str]] = [
    ("achieved rate", "/s"),
    ("errors", "%"),
    ("failed checks", "%"),
    *((f"latency p{percent:g}", "ms") for percent in PERCENTS),
    *((f"service p{percent:g}", "ms") for percent in PERCENTS),
    *((f"{stage}, mean", "ms") for stage in STAGES),
]


class _Side:
    """The seconds of all repeats of one side."""

    def __init__(self, timelines: list[tuple[Timeline, int]]) -> None:
        def joined(column: Callable[[Timeline], NDArray[Any]]) -> NDArray[Any]:
            return np.concatenate([column(timeline)[:length] for timeline, length in timelines])

        self.repeats = len(timelines)
        self._run_of = np.repeat(np.arange(self.repeats), [length for _, length in timelines])
        self.seconds = len(self._run_of)
        self._planned = joined(lambda timeline: timeline.planned + timeline.dropped)
        self._answered = joined(lambda timeline: timeline.answered)
        # Neighbouring seconds are correlated, so blocks are drawn instead of single seconds (Künsch 1989).
        self._block_of = np.concatenate([np.arange(length) // _block_seconds(length) for _, length in timelines])
        self._ok = joined(lambda timeline: timeline.codes[:, OK])
        self._latency = joined(lambda timeline: timeline.latency).astype(np.float32)
        self._service = joined(lambda timeline: timeline.service).astype(np.float32)
        self._stage_sums = joined(lambda timeline: timeline.stage_sums)
        self._staged = joined(lambda timeline: timeline.staged)
        self._checked = joined(lambda timeline: timeline.checked)
        self._failed_checks = joined(lambda timeline: timeline.failed_checks)

    @property
    def spread(self) -> float:
        """Factor by which a bootstrap over few repeats underestimates the spread; 1 if only seconds are drawn."""
        return math.sqrt(self.repeats / (self.repeats - 1)) if self.repeats >= LEAST_REPEATS else 1.0

    def once(self) -> Floats:
        """Returns the weights of the original sample."""
        return np.ones((1, self.seconds))

    def resampled(self, random: np.random.Generator) -> Floats:
        """Returns how often each second is drawn, `[RESAMPLES, seconds]`."""
        weights = np.zeros((RESAMPLES, self.seconds))
        drawn = np.ones((RESAMPLES, self.repeats), dtype=np.int64)
        if self.repeats >= LEAST_REPEATS:
            drawn = random.multinomial(self.repeats, np.full(self.repeats, 1 / self.repeats), RESAMPLES)
        for run in range(self.repeats):
            columns = np.flatnonzero(self._run_of == run)
            blocks = int(self._block_of[columns].max()) + 1
            of_blocks = random.multinomial(drawn[:, run] * blocks, np.full(blocks, 1 / blocks))
            weights[:, columns] = of_blocks[:, self._block_of[columns]]
        return weights

    def figures(self, weights: Floats) -> dict[str, Floats]:
        """Returns the values of each figure, one for each row of weights."""
        planned = weights @ self._planned
        found: dict[str, Floats] = {
            "achieved rate": weights @ self._answered / weights.sum(axis=1),
            "errors": 1 - (weights @ self._ok) / np.maximum(planned, 1),
            "failed checks": _ratio(weights @ self._failed_checks, weights @ self._checked),
        }
        for name, counts in (("latency", self._latency), ("service", self._service)):
            used = np.flatnonzero(counts.any(axis=0))
            binned = np.zeros((len(weights), bins.COUNT), dtype=np.float32)
            binned[:, used] = weights.astype(np.float32) @ counts[:, used]
            for percent, values in zip(PERCENTS, bins.percentiles(binned, PERCENTS).T, strict=True):
                found[f"{name} p{percent:g}"] = values
        staged = weights @ self._staged
        sums = weights @ self._stage_sums
        for column, stage in enumerate(STAGES):
            found[f"{stage}, mean"] = _ratio(sums[:, column], staged)
        return found


def _ratio(sums: Floats, counts: Floats) -> Floats:
    """Returns sums by their counts; NaN where nothing was counted."""
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _block_seconds(seconds: int) -> int:
    """Returns the length of a block in seconds."""
    return max(1, math.isqrt(seconds) // 2)


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


def _row(name: str, unit: str, a: tuple[float, Floats], b: tuple[float, Floats], sides: list[Any]) -> Row:
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
