"""Resamples the seconds of one side of a comparison, to estimate by how much its figures vary.

Blocks of seconds are drawn with replacement (bootstrap; Efron 1979). With three or more repeats, the repeats are drawn,
too, because runs differ more than the seconds of one run.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loadtest.analysis import bins
from loadtest.analysis.timeline import Timeline
from loadtest.codes import OK
from loadtest.stages import STAGES

RESAMPLES = 1000
LEAST_REPEATS = 3
"""With fewer repeats, the spread between runs is unknown."""

Floats = NDArray[np.float64]
PERCENTS = [50.0, 90.0, 99.0]
FIGURES: list[tuple[str, str]] = [
    ("achieved rate", "/s"),
    ("errors", "%"),
    ("failed checks", "%"),
    *((f"latency p{percent:g}", "ms") for percent in PERCENTS),
    *((f"service p{percent:g}", "ms") for percent in PERCENTS),
    *((f"{stage}, mean", "ms") for stage in STAGES),
]
"""Name and unit of each figure."""


class Side:
    """The seconds of all repeats of one side.

    Args:
        timelines: The timeline of each repeat, and the number of its whole seconds.
    """

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
