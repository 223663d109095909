"""Two runs side by side: is B different from A, or is that the runs' own noise?

Each side is one run or several repeats. Its seconds are resampled with replacement (bootstrap; Efron 1979), and with
three or more repeats the repeats too: machines differ more between runs than within one. A difference is beyond the
noise when the middle 95 % of the resampled ratios do not contain 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loadtest.analysis import bins
from loadtest.analysis.summary import summarize
from loadtest.analysis.timeline import Timeline
from loadtest.errors import ResultsError
from loadtest.requests.answer import STAGES
from loadtest.results.record import OK

RESAMPLES = 1000
LEAST_REPEATS = 3
"""With fewer repeats there is no telling how much runs differ from each other."""

LEAST_SECONDS = 5
CONFIDENCE = 0.95
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Row:
    """One figure of both sides.

    Attributes:
        name: The figure.
        unit: `ms`, `/s` or `%`.
        a: Of A.
        b: Of B.
        ratio: B / A; of a share their difference.
        low: Lower end of the 95 % interval of `ratio`.
        high: Upper end.
        more_is_better: Whether a higher value is the better one.
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
        """Returns by how much B is worse, as a share of A (of a share: as a share of all); 0 if it is not."""
        if not self.worse:
            return 0.0
        if self.unit == "%":
            return abs(self.ratio)
        return 1 / self.ratio - 1 if self.more_is_better else self.ratio - 1


@dataclass(frozen=True)
class Comparison:
    """All figures of both sides.

    Attributes:
        rows: The figures.
        repeats: Number of repeats of each side.
        seconds: Seconds that were resampled, of each side.
    """

    rows: list[Row]
    repeats: tuple[int, int]
    seconds: tuple[int, int]

    @property
    def caution(self) -> str:
        """What to hold against the intervals; empty if there are repeats enough."""
        if min(self.repeats) >= LEAST_REPEATS:
            return ""
        return (
            f"With fewer than {LEAST_REPEATS} repeats of each side, the intervals know the noise within a run only, "
            "not that between runs: a small difference may be none."
        )


def compare(a: Sequence[Path], b: Sequence[Path], *, seed: int = 0) -> Comparison:
    """Compares the runs of two sides.

    Args:
        a: Results files of the one side, each a repeat.
        b: Of the other.
        seed: Seed of the resampling.

    Raises:
        ResultsError: A file cannot be read, or a run is shorter than five seconds.
    """
    random = np.random.default_rng(seed)
    sides = [_Side([_whole_seconds(path) for path in paths]) for paths in (a, b)]
    figures = [(side.figures(side.once()), side.figures(side.resampled(random))) for side in sides]
    rows = []
    for name, unit in FIGURES:
        (a_once, a_many), (b_once, b_many) = ((once[name], many[name]) for once, many in figures)
        if np.isnan(a_once).any() or np.isnan(b_once).any() or (unit != "%" and not a_once[0] and not b_once[0]):
            continue  # There is nothing of it.
        rows.append(_row(name, unit, (float(a_once[0]), a_many), (float(b_once[0]), b_many), sides))
    return Comparison(rows, (sides[0].repeats, sides[1].repeats), (sides[0].seconds, sides[1].seconds))


PERCENTS = [50.0, 90.0, 99.0]
FIGURES: list[tuple[str, str]] = [
    ("achieved rate", "/s"),
    ("not successful", "%"),
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
        self._planned = joined(lambda timeline: timeline.planned)
        self._ok = joined(lambda timeline: timeline.codes[:, OK])
        self._latency = joined(lambda timeline: timeline.latency).astype(np.float32)
        self._service = joined(lambda timeline: timeline.service).astype(np.float32)
        self._stage_sums = joined(lambda timeline: timeline.stage_sums)
        self._staged = joined(lambda timeline: timeline.staged)

    @property
    def spread(self) -> float:
        """What a bootstrap over few repeats underestimates the spread by; 1 where it resamples seconds only."""
        return math.sqrt(self.repeats / (self.repeats - 1)) if self.repeats >= LEAST_REPEATS else 1.0

    def once(self) -> Floats:
        """Returns the weights of the sample as it is."""
        return np.ones((1, self.seconds))

    def resampled(self, random: np.random.Generator) -> Floats:
        """Returns how often each second is drawn, `[RESAMPLES, seconds]`."""
        weights = np.zeros((RESAMPLES, self.seconds))
        if self.repeats < LEAST_REPEATS:
            return random.multinomial(self.seconds, np.full(self.seconds, 1 / self.seconds), RESAMPLES).astype(float)
        drawn = random.multinomial(self.repeats, np.full(self.repeats, 1 / self.repeats), RESAMPLES)
        for run in range(self.repeats):
            columns = np.flatnonzero(self._run_of == run)
            of_each = np.full(len(columns), 1 / len(columns))
            weights[:, columns] = random.multinomial(drawn[:, run] * len(columns), of_each)
        return weights

    def figures(self, weights: Floats) -> dict[str, Floats]:
        """Returns each figure under each row of weights."""
        planned = weights @ self._planned
        found: dict[str, Floats] = {
            "achieved rate": weights @ self._ok / weights.sum(axis=1),
            "not successful": 1 - (weights @ self._ok) / np.maximum(planned, 1),
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
            found[f"{stage}, mean"] = np.where(staged > 0, sums[:, column] / np.maximum(staged, 1), np.nan)
        return found


def _whole_seconds(path: Path) -> tuple[Timeline, int]:
    """Returns a file's timeline and how many seconds of it are whole: the last one of a run without end is not."""
    summary = summarize([path])
    seconds = summary.runs[0].header["plan"]["seconds"]
    last_planned = int(np.flatnonzero(summary.timeline.planned)[-1]) if summary.timeline.planned.any() else 0
    whole = last_planned if seconds is None or summary.partial else min(int(seconds), len(summary.timeline))
    if whole < LEAST_SECONDS:
        raise ResultsError(f"{path} has {whole} whole seconds; a comparison needs at least {LEAST_SECONDS}")
    return summary.timeline, whole


def _row(name: str, unit: str, a: tuple[float, Floats], b: tuple[float, Floats], sides: list[Any]) -> Row:
    """Returns the row of a figure from its value and its resampled values on both sides."""
    tail = (1 - CONFIDENCE) / 2 * 100
    better = name == "achieved rate"
    if unit == "%":
        wide = [once + (many - once) * side.spread for (once, many), side in zip((a, b), sides, strict=True)]
        low, high = np.percentile(wide[1] - wide[0], [tail, 100 - tail])
        return Row(name, unit, a[0], b[0], b[0] - a[0], float(low), float(high), better)
    if a[0] <= 0 or b[0] <= 0:
        return Row(name, unit, a[0], b[0], math.nan, -math.inf, math.inf, better)
    logs = []
    for (once, many), side in zip((a, b), sides, strict=True):
        logarithms = np.log(np.maximum(many, 1e-12))
        logs.append(math.log(once) + (logarithms - math.log(once)) * side.spread)
    low, high = np.exp(np.nanpercentile(logs[1] - logs[0], [tail, 100 - tail]))
    return Row(name, unit, a[0], b[0], b[0] / a[0], float(low), float(high), better)
