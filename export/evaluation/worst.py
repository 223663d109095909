"""The queries that a system answers worst, and what it found instead."""

from __future__ import annotations

import msgspec

from export.evaluation.evaluation import Evaluation
from export.evaluation.measures import NAMES, first_relevant

CAME_INSTEAD = 3
"""Documents to show for each query."""

CHOSEN_BY = "nDCG@10"


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """A document's id and first title."""

    id: str
    title: str


class Worst(msgspec.Struct, frozen=True, kw_only=True):
    """A query that was answered badly.

    `rank` is that of the first relevant document, None if it was not found; `found` are the documents before it.
    `other_ranks` has the ranks of the other systems.
    """

    query: str
    language: str
    relevant: list[Named]
    rank: int | None
    found: list[Named]
    other_ranks: dict[str, int | None]


def best_system(evaluation: Evaluation) -> str:
    """Returns the name of the system with the best nDCG@10; of equal ones, the first."""
    return max(evaluation.summaries, key=lambda summary: summary.figure(CHOSEN_BY).value).system


def worst_queries(evaluation: Evaluation, system: str, *, count: int) -> list[Worst]:
    """Returns the queries without a relevant document at rank 1, by nDCG@10, the worst first.

    Of equally bad ones, those come first that another system answers best: they can be answered.
    """
    place = evaluation.systems.index(system)
    documents = {each.id: each for each in evaluation.judged.documents}
    queries = evaluation.judged.queries
    ranks = [
        [first_relevant(query, found) for query, found in zip(queries, run.found, strict=True)]
        for run in evaluation.runs
    ]
    values = evaluation.values[place][NAMES.index(CHOSEN_BY)]

    def badness(row: int) -> tuple[float, float, float]:
        others = [rank[row] or float("inf") for number, rank in enumerate(ranks) if number != place]
        return float(values[row]), -(ranks[place][row] or float("inf")), min(others, default=0.0)

    def named(id: str) -> Named:
        return Named(id=id, title=documents[id].title_in("") if id in documents else "")

    missed = [row for row, rank in enumerate(ranks[place]) if rank != 1]
    return [
        Worst(
            query=queries[row].text,
            language=queries[row].language,
            relevant=[named(id) for id in queries[row].grades],
            rank=(rank := ranks[place][row]),
            found=[named(id) for id in evaluation.runs[place].found[row][: rank and rank - 1][:CAME_INSTEAD]],
            other_ranks={name: ranks[number][row] for number, name in enumerate(evaluation.systems) if number != place},
        )
        for row in sorted(missed, key=badness)[:count]
    ]
