"""The content of every report: the figures of an evaluation, its slices and its worst queries."""

from __future__ import annotations

from dataclasses import dataclass

from export.evaluation.evaluation import Evaluation
from export.evaluation.slices import SliceFigures, slice_figures
from export.evaluation.worst import Worst, best_system, worst_queries


@dataclass(frozen=True)
class Content:
    """The parts of a report. `worst` are queries of the system `best`."""

    evaluation: Evaluation
    slices: list[SliceFigures]
    best: str
    worst: list[Worst]


def content_of(evaluation: Evaluation, *, worst: int) -> Content:
    """Returns the content, with at most `worst` of the worst queries."""
    best = best_system(evaluation)
    return Content(evaluation, slice_figures(evaluation), best, worst_queries(evaluation, best, count=worst))
