"""Writes the bias of attention scores that depends on the distance between two tokens."""

from __future__ import annotations

import numpy as np

from export.packed.builder import GraphBuilder
from export.packed.weights import Array


class DistanceBiases:
    """Writes each bias once, even if several layers share it.

    All unpacked texts start at position 0, so one bias is right for all texts of a run.
    """

    def __init__(self, graph: GraphBuilder) -> None:
        self._graph = graph
        self._distances: str | None = None
        self._biases: dict[int, str] = {}

    def bias(self, table: Array) -> str:
        """Returns the bias `[1, heads, L, L]` of each query and key, from the table `Attention.distance_bias`."""
        if id(table) not in self._biases:
            graph = self._graph
            reach = table.shape[1] // 2
            least, most = (graph.constant(np.array(end, np.int64)) for end in (-reach, reach))
            # L may exceed the table; such positions are after the end of every text.
            distances = graph.node("Clip", self._all_distances(), least, most)
            bias = graph.node("Gather", graph.constant(table, self._name()), graph.node("Add", distances, most), axis=1)
            self._biases[id(table)] = graph.node("Unsqueeze", bias, graph.constant(np.array([0], np.int64)))
        return self._biases[id(table)]

    def _name(self) -> str:
        return "attention.distance_bias" if not self._biases else f"attention.distance_bias.{len(self._biases)}"

    def _all_distances(self) -> str:
        """Returns the position of each key minus that of each query `[L, L]`."""
        if self._distances is None:
            graph = self._graph
            zero, one = graph.constant(np.array(0, np.int64)), graph.constant(np.array(1, np.int64))
            places = graph.node("Range", zero, graph.node("Gather", graph.node("Shape", "unpack"), one), one)
            queries = graph.node("Unsqueeze", places, graph.constant(np.array([1], np.int64)))
            self._distances = graph.node("Sub", places, queries)
        return self._distances
