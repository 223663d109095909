"""Writes what is added to attention scores by the distance of two places of a text."""

from __future__ import annotations

import numpy as np

from export.packed.builder import GraphBuilder
from export.packed.weights import Array


class DistanceBiases:
    """Writes each bias once, however many layers share it.

    All unpacked texts start at place 0, so one bias serves all texts of a run.
    """

    def __init__(self, graph: GraphBuilder) -> None:
        self._graph = graph
        self._distances: str | None = None
        self._biases: dict[int, str] = {}

    def bias(self, table: Array) -> str:
        """Returns the bias `[1, heads, L, L]` of each query and key by `Attention.distance_bias`."""
        if id(table) not in self._biases:
            graph = self._graph
            reach = table.shape[1] // 2
            least, most = (graph.constant(np.array(end, np.int64)) for end in (-reach, reach))
            # L may be more than the table knows; such places are behind the end of every text.
            distances = graph.node("Clip", self._all_distances(), least, most)
            bias = graph.node("Gather", graph.constant(table, self._name()), graph.node("Add", distances, most), axis=1)
            self._biases[id(table)] = graph.node("Unsqueeze", bias, graph.constant(np.array([0], np.int64)))
        return self._biases[id(table)]

    def _name(self) -> str:
        return "attention.distance_bias" if not self._biases else f"attention.distance_bias.{len(self._biases)}"

    def _all_distances(self) -> str:
        """Returns the place of each key less that of each query `[L, L]`."""
        if self._distances is None:
            graph = self._graph
            zero, one = graph.constant(np.array(0, np.int64)), graph.constant(np.array(1, np.int64))
            places = graph.node("Range", zero, graph.node("Gather", graph.node("Shape", "unpack"), one), one)
            queries = graph.node("Unsqueeze", places, graph.constant(np.array([1], np.int64)))
            self._distances = graph.node("Sub", places, queries)
        return self._distances
