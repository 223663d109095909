"""What arranging saves: the same graph is searched as it is and in the order in which its rows came, by turns."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.serving.figure import Figure
from server.files import sync
from server.vectors.arranging import arrange
from server.vectors.building import Built
from server.vectors.checksum import file_checksum
from server.vectors.graph import Graph
from server.vectors.layout import graph_files
from server.vectors.storage import Storage
from server.vectors.view import FETCHED_LEAST, DenseView, to_rows

ROUNDS = 5

SEARCHES = 400
"""In each round."""


def measure_arranging(
    view: DenseView, queries: NDArray[np.float32], storage: Storage, folder: Path
) -> Iterator[Figure]:
    """Yields the time of a search of a view's graph, if it has one, as a ratio."""
    if view.graph is None:
        return
    graph, effort = view.graph, view.effort.at(view.graph_count)
    places = graph.places.astype(np.int64)
    arranged = _written(view, graph, folder / "arranged.graph", np.arange(len(graph)))
    as_they_came = _written(view, graph, folder / "as-they-came.graph", places)
    assert np.array_equal(as_they_came.places, np.arange(len(graph)))
    rows = to_rows(queries, "cosine", storage)
    ratios = []
    for number in range(ROUNDS):
        chosen = rows[number * SEARCHES % len(rows) :][:SEARCHES]
        turns = (arranged, as_they_came) if number % 2 else (as_they_came, arranged)
        taken = {each: _milliseconds(each, chosen, effort) for each in turns}
        ratios.append(taken[arranged] / taken[as_they_came])
    note = f"of that in the order in which rows came; {ROUNDS} rounds of {SEARCHES} searches of the graph alone"
    yield Figure(name="time of a search for rows being arranged", values=tuple(ratios), written="{:.2f}", note=note)


def _written(view: DenseView, graph: Graph, path: Path, order: NDArray[np.int64]) -> Graph:
    """Returns a graph in another order. Files are written, and read for the first time, in one way."""
    arrange(graph.built.path, path, order, dimension=view.dimension, storage=view.storage)
    files = graph_files(path, view.storage)
    for each in files:
        sync(each)
    built = Built(path, len(graph), {each.suffix: file_checksum(each) for each in files}, graph.built.reachable)
    return Graph(built, dimension=view.dimension, storage=view.storage, searchers=1, verify=True)


def _milliseconds(graph: Graph, rows: NDArray[np.generic], effort: int) -> float:
    taken = []
    for row in rows:
        started = time.perf_counter()
        graph.search(row[None, :], FETCHED_LEAST, effort)
        taken.append(1000 * (time.perf_counter() - started))
    return float(np.median(taken))
