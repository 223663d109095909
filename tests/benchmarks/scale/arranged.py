"""What arranging saves: the same graph is searched as it is and in the order in which its rows came, by turns."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from server.index.arranging import arrange
from server.index.building import Built
from server.index.graph import Graph
from server.index.storage import Storage
from server.index.view import FETCHED_LEAST, DenseView, to_rows
from tests.benchmarks.serving.figure import Figure

ROUNDS = 5

SEARCHES = 400
"""In each round."""


def measure_arranging(
    view: DenseView, queries: NDArray[np.float32], storage: Storage, folder: Path
) -> Iterator[Figure]:
    """Yields the time of a search of a view's graph, if it has one, as a ratio."""
    if view.graph is None:
        return
    graph, came = view.graph, folder / "as-rows-came.graph"
    arrange(graph.built.path, came, graph.places.astype(np.int64), dimension=view.dimension, storage=storage)
    built = Built(came, len(graph), {}, graph.built.reachable)
    other = Graph(built, dimension=view.dimension, storage=storage, searchers=1)
    assert np.array_equal(other.places, np.arange(len(graph)))
    rows = to_rows(queries, "cosine", storage)
    effort = view.effort.at(len(graph))
    ratios = []
    for number in range(ROUNDS):
        chosen = rows[number * SEARCHES % len(rows) :][:SEARCHES]
        arranged, as_they_came = (_milliseconds(each, chosen, effort) for each in (graph, other))
        ratios.append(arranged / as_they_came)
    note = f"of that in the order in which rows came; {ROUNDS} rounds of {SEARCHES} searches of the graph alone"
    yield Figure(name="time of a search for rows being arranged", values=tuple(ratios), written="{:.2f}", note=note)


def _milliseconds(graph: Graph, rows: NDArray[np.generic], effort: int) -> float:
    taken = []
    for row in rows:
        started = time.perf_counter()
        graph.search(row[None, :], FETCHED_LEAST, effort)
        taken.append(1000 * (time.perf_counter() - started))
    return float(np.median(taken))
