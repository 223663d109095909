"""Compares the bundles of a tuning with the bundle of the model before."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from export.evaluation.evaluation import Evaluation, evaluate
from export.evaluation.judged import JudgedSet, taught
from export.evaluation.measures import NAMES
from export.evaluation.runs import System
from export.evaluation.systems.served import BundleEncoder, EncodedDocuments, served_systems
from export.tuning.labels import Labels
from export.tuning.scores import Trained
from server.encoding.bundle import Bundle
from server.encoding.cutting import Cutting
from server.ranking.options import Mode

MODES = (Mode.DENSE, Mode.HYBRID)

BEFORE = " before"


class WithoutLabels(NamedTuple):
    """R@1 in DENSE mode of the queries whose documents have no labels: their number, before and after."""

    queries: int
    before: float
    after: float


@dataclass(frozen=True, kw_only=True)
class Point:
    """A number of labels, the scores of its training, and the queries whose documents have none of them."""

    labels: int
    trained: Trained
    without_labels: WithoutLabels | None


@dataclass(frozen=True)
class Comparison:
    """The evaluation of all bundles, and the points of the curve."""

    evaluation: Evaluation
    points: list[Point]


def after(count: int) -> str:
    """Returns the end of the names of systems that were tuned on so many labels."""
    return f" after {count:,}"


def compared(
    labels: Labels,
    scores: Mapping[int, Trained],
    before: Path,
    bundles: Mapping[int, Path],
    *,
    per_document: int,
    cutting: Cutting,
    progress: Callable[[str], None],
) -> Comparison:
    """Searches the queries that judge with the bundle before, and with those after each number of labels.

    The first and the last bundle are also measured with the labels as example queries.

    Args:
        labels: All labels.
        scores: The scores of the trainings by number of labels.
        before: The bundle of the model before.
        bundles: The other bundles by number of labels, ascending.
        per_document: Maximum labels of a document that become example queries.
        cutting: How the bundles cut texts into passages.
        progress: Called with a line for each step.
    """
    last = max(bundles)
    used = labels.first(last)
    judged = JudgedSet(
        name=labels.judged.name,
        documents=labels.documents,
        queries=labels.judged.queries,
        labels=used.labels,
        notes=[*labels.notes, f"tuned on {last:,} labels of {labels.name}, of which a part decided when to end"],
    )
    with_labels = taught(labels.documents, used.labels, per_document=per_document)

    def systems_of(bundle: Path, suffix: str, *, labelled: bool) -> list[System]:
        documents = EncodedDocuments(
            BundleEncoder(Bundle(bundle, cutting=cutting)),
            labels.documents,
            with_labels if labelled else labels.documents,
            progress=progress,
        )
        return list(served_systems(documents, MODES, labels=labelled, suffix=suffix))

    systems = systems_of(before, BEFORE, labelled=True)
    for count, bundle in bundles.items():
        systems += systems_of(bundle, after(count), labelled=count == last)
    evaluation = evaluate(judged, systems, baseline=f"{Mode.DENSE.name}{BEFORE}", progress=progress)
    points = [
        Point(labels=count, trained=scores[count], without_labels=_without(labels, count, evaluation))
        for count in bundles
    ]
    return Comparison(evaluation, points)


def _without(labels: Labels, count: int, evaluation: Evaluation) -> WithoutLabels | None:
    known = {id for each in labels.first(count).labels for id in each.grades}
    rows = [row for row, each in enumerate(evaluation.judged.queries) if not known.intersection(each.grades)]
    if not rows:
        return None
    recalls = [
        float(
            evaluation.values[evaluation.systems.index(f"{Mode.DENSE.name}{suffix}")][NAMES.index("R@1")][rows].mean()
        )
        for suffix in (BEFORE, after(count))
    ]
    return WithoutLabels(len(rows), *recalls)
