"""Writes self-attention: the only part for which the texts are unpacked to `[N, L]`."""

from __future__ import annotations

import numpy as np

from export.packed.builder import MICROSOFT, GraphBuilder, Products
from export.packed.distance import DistanceBiases
from export.packed.weights import Attention


class AttentionNodes:
    """Writes the attention of each layer, and once what all layers have in common."""

    def __init__(self, graph: GraphBuilder, products: Products, *, heads: int) -> None:
        self._graph = graph
        self._products = products
        self._heads = heads
        self._biases = DistanceBiases(graph)

    def attend(self, attention: Attention, rows: str) -> str:
        """Returns what the tokens of each text gather from each other, `[T, hidden]` as `rows`."""
        graph, products = self._graph, self._products
        packed = products.product(products.operand(rows), attention.projection)
        query, key, value = graph.split(graph.node("Gather", packed, "unpack"), 3, axis=2)
        query = graph.node("Add", query, graph.constant(attention.query_bias))
        inputs = [query, key, value, "", "lengths"]  # The empty one is the bias of all three.
        if attention.distance_bias is not None:
            inputs.append(self._biases.bias(attention.distance_bias))
        values = graph.node("MultiHeadAttention", *inputs, domain=MICROSOFT, num_heads=self._heads)
        hidden = attention.output.weight.shape[0]
        values = graph.node("Reshape", values, graph.constant(np.array([-1, hidden], np.int64)))
        attended = products.product(products.operand(graph.node("Gather", values, "pack")), attention.output.weight)
        return graph.node("Add", attended, graph.constant(attention.output.bias))
