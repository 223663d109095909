"""Writes self-attention: the only part for which the texts are unpacked to `[N, L]`."""

from __future__ import annotations

import numpy as np

from export.packed.builder import MICROSOFT, GraphBuilder, Products
from export.packed.weights import Attention


class AttentionNodes:
    """Writes the attention of each layer, and once what all layers have in common."""

    def __init__(self, graph: GraphBuilder, products: Products, *, heads: int) -> None:
        self._graph = graph
        self._products = products
        self._heads = heads

    def attend(self, attention: Attention, rows: str) -> str:
        """Returns what the tokens of each text gather from each other, `[T, hidden]` as `rows`."""
        graph, products = self._graph, self._products
        packed = products.product(products.operand(rows), attention.projection)
        query, key, value = graph.split(graph.node("Gather", packed, "unpack"), 3, axis=2)
        query = graph.node("Add", query, graph.weight(attention.query_bias))
        values = graph.node(
            "MultiHeadAttention", query, key, value, "", "lengths", domain=MICROSOFT, num_heads=self._heads
        )
        values = graph.node(
            "Reshape", values, graph.constant(np.array([-1, attention.output.weight.shape[0]], np.int64))
        )
        attended = products.product(products.operand(graph.node("Gather", values, "pack")), attention.output.weight)
        return graph.node("Add", attended, graph.weight(attention.output.bias))
