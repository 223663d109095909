"""Runs systems on a judged set, and sums their measures up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import msgspec
import numpy as np
from numpy.typing import NDArray

from export.evaluation.judged import JudgedSet
from export.evaluation.measures import NAMES, measured
from export.evaluation.runs import Run, System
from server.significance import corrected, intervals, p_values

Floats = NDArray[np.float64]


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """The mean of a measure, and the bounds of its 95 % interval; None if a single query was asked."""

    measure: str
    value: float
    interval: tuple[float, float] | None


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """The difference of a measure to the baseline's, with its interval.

    `p` is the p-value of the paired test, `p_corrected` the same corrected for the number of systems.
    """

    measure: str
    value: float
    interval: tuple[float, float] | None
    p: float
    p_corrected: float


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of a system. The baseline has no differences."""

    system: str
    figures: list[Figure]
    differences: list[Difference]

    def figure(self, measure: str) -> Figure:
        """Returns the figure of a measure."""
        return next(each for each in self.figures if each.measure == measure)


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The runs of all systems on a judged set.

    Attributes:
        judged: The set.
        runs: What each system found.
        values: The measures `[measures, queries]` of each run.
        baseline: Name of the system that the others are compared with.
    """

    judged: JudgedSet
    runs: Sequence[Run]
    values: Sequence[Floats]
    baseline: str

    @property
    def systems(self) -> list[str]:
        """The names of the systems."""
        return [run.system for run in self.runs]

    @property
    def notes(self) -> list[str]:
        """Sentences about the set and the systems."""
        return [*self.judged.notes, *(run.note for run in self.runs if run.note)]

    @cached_property
    def summaries(self) -> list[Summary]:
        """The figures of each system, in the order of the runs."""
        place = self.systems.index(self.baseline)
        differences = np.stack(self.values) - self.values[place]
        others = [row for row in range(len(self.runs)) if row != place]
        compared = _differences(differences[others]) if others else []
        of_system = dict(zip(others, compared, strict=True))
        bounds = _bounds(np.stack(self.values))
        return [
            Summary(
                system=name,
                figures=[
                    Figure(measure=measure, value=float(mean), interval=interval)
                    for measure, mean, interval in zip(NAMES, self.values[row].mean(axis=1), bounds[row], strict=True)
                ],
                differences=of_system.get(row, []),
            )
            for row, name in enumerate(self.systems)
        ]


def evaluate(
    judged: JudgedSet, systems: Sequence[System], *, baseline: str, progress: Callable[[str], None]
) -> Evaluation:
    """Asks every system all reported queries."""
    texts = [query.text for query in judged.queries]
    runs = []
    for system in systems:
        progress(f"searching {len(texts):,} queries with {system.name}")
        runs.append(Run(system.name, system.search(texts), system.note))
    values = [measured(judged.queries, run.found) for run in runs]
    return Evaluation(judged, runs, values, baseline)


def _differences(values: Floats) -> list[list[Difference]]:
    """Returns the differences of each system from `[systems, measures, queries]`."""
    systems, measures, queries = values.shape
    bounds = _bounds(values)
    found = p_values(values.reshape(-1, queries)).reshape(systems, measures)
    holm = np.array([corrected(column) for column in found.T.tolist()]).T
    return [
        [
            Difference(
                measure=measure,
                value=float(values[row, column].mean()),
                interval=bounds[row][column],
                p=float(found[row, column]),
                p_corrected=float(holm[row, column]),
            )
            for column, measure in enumerate(NAMES)
        ]
        for row in range(systems)
    ]


def _bounds(values: Floats) -> list[list[tuple[float, float] | None]]:
    """Returns the interval of each system and measure from `[systems, measures, queries]`."""
    flat = intervals(values.reshape(-1, values.shape[-1])).tolist()
    pairs = [None if np.isnan(low) else (low, high) for low, high in flat]
    return [pairs[start : start + len(NAMES)] for start in range(0, len(pairs), len(NAMES))]
