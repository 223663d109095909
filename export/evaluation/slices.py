"""Parts of the reported queries whose figures may differ.

They are divided by language, length, name in the query, the rule that made them, and labels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from export.evaluation.evaluation import Evaluation
from export.evaluation.judged import JudgedQuery, JudgedSet
from export.evaluation.measures import NAMES
from server.encoding.normalisation import normalised
from server.lexical.tokens import fold
from server.significance import intervals

LENGTHS = (10, 20, 40)
"""The most characters of a query in each slice of lengths but the last."""

SHORTEST_NAME = 2
"""Characters of the shortest title that counts as a name."""


class Slice(NamedTuple):
    """A part of the queries.

    Attributes:
        kind: The property that it is about; the slices of a kind have all queries together, each once.
        name: The value of the property.
        rows: The positions of its queries.
    """

    kind: str
    name: str
    rows: list[int]


class SliceFigures(msgspec.Struct, frozen=True, kw_only=True):
    """The means of the measures in a slice, by system, and the interval of each system's R@1."""

    kind: str
    name: str
    queries: int
    means: dict[str, dict[str, float]]
    recall_intervals: dict[str, tuple[float, float] | None]


def slices_of(judged: JudgedSet) -> list[Slice]:
    """Returns the slices of all kinds that have at least two."""
    titles = {each.id: [_compact(title) for title in each.titles().values()] for each in judged.documents}
    labelled = {id for query in judged.labels for id in query.grades}
    kinds = {
        "language": [query.language for query in judged.queries],
        "length": [_length(query) for query in judged.queries],
        "name of the document": [
            "in the query" if _names(query, titles) else "not in the query" for query in judged.queries
        ],
    }
    if any(query.kind for query in judged.queries):
        kinds["kind of query"] = [query.kind or "of people" for query in judged.queries]
    if labelled:
        kinds["document"] = [
            "has labels" if labelled.intersection(query.grades) else "has no labels" for query in judged.queries
        ]
    found = []
    for kind, values in kinds.items():
        names = sorted(set(values), key=lambda name: (_order(name), name))
        if len(names) > 1:
            found += [Slice(kind, name, [row for row, value in enumerate(values) if value == name]) for name in names]
    return found


def slice_figures(evaluation: Evaluation) -> list[SliceFigures]:
    """Returns the figures of every slice."""
    found = []
    for each in slices_of(evaluation.judged):
        values = {name: own[:, each.rows] for name, own in zip(evaluation.systems, evaluation.values, strict=True)}
        bounds = intervals(np.stack([own[0] for own in values.values()])).tolist()
        found.append(
            SliceFigures(
                kind=each.kind,
                name=each.name,
                queries=len(each.rows),
                means={name: dict(zip(NAMES, own.mean(axis=1).tolist(), strict=True)) for name, own in values.items()},
                recall_intervals={
                    name: None if math.isnan(low) else (low, high)
                    for name, (low, high) in zip(values, bounds, strict=True)
                },
            )
        )
    return found


def _length(query: JudgedQuery) -> str:
    characters = len(normalised(query.text))
    lowest = 1
    for most in LENGTHS:
        if characters <= most:
            return f"{lowest} to {most} characters"
        lowest = most + 1
    return f"{lowest} characters or more"


def _order(name: str) -> int:
    """Returns the number that a name begins with, or 0."""
    first = name.split(" ", 1)[0]
    return int(first) if first.isdecimal() else 0


def _names(query: JudgedQuery, titles: Mapping[str, Sequence[str]]) -> bool:
    text = _compact(query.text)
    return any(len(title) >= SHORTEST_NAME and title in text for id in query.grades for title in titles[id])


def _compact(text: str) -> str:
    return "".join(fold(text).split())
