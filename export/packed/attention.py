"""Writes self-attention, the only part that unpacks the texts to `[N, L]`."""

from __future__ import annotations

import numpy as np

from export.packed.builder import MICROSOFT, GraphBuilder
from export.packed.distance import DistanceBiases
from export.packed.products import Operand, Products
from export.packed.weights import Attention, Rotation


class AttentionNodes:
    """Writes the attention of each layer, and once the tables that layers share."""

    def __init__(self, graph: GraphBuilder, products: Products, *, heads: int) -> None:
        self._graph = graph
        self._products = products
        self._heads = heads
        self._biases = DistanceBiases(graph)
        self._rotations: dict[int, tuple[str, str]] = {}

    def attend(self, attention: Attention, operand: Operand, name: str) -> str:
        """Returns the output `[T, hidden]` of attention within each text, from the rows of all texts."""
        graph, products = self._graph, self._products
        inputs = [
            *self._query_key_value(attention, operand, name),
            "",
            "lengths",
        ]  # The empty input is the bias of queries, keys and values.
        if attention.distance_bias is not None:
            inputs.append(self._biases.bias(attention.distance_bias))
        values = graph.node("MultiHeadAttention", *inputs, domain=MICROSOFT, num_heads=self._heads)
        hidden = attention.output.weight.shape[0]
        values = graph.node("Reshape", values, graph.constant(np.array([-1, hidden], np.int64)))
        gathered = Operand(graph.node("Gather", values, "pack"))
        return products.linear(gathered, attention.output, f"{name}.attention_output")

    def _query_key_value(self, attention: Attention, operand: Operand, name: str) -> list[str]:
        """Returns queries, keys and values, each unpacked to `[N, L, hidden]`."""
        graph, products = self._graph, self._products
        if attention.rotation is not None:
            query_key = products.linear(operand, attention.query_key, f"{name}.query_key")
            query_key = self._rotate(query_key, attention.rotation)
            value = graph.node("Gather", products.product(operand, attention.value, f"{name}.value"), "unpack")
            return [*graph.split(graph.node("Gather", query_key, "unpack"), 2, axis=2), value]
        weight = np.concatenate([attention.query_key.weight, attention.value], axis=1)
        packed = products.product(operand, weight, f"{name}.qkv")
        query, key, value = graph.split(graph.node("Gather", packed, "unpack"), 3, axis=2)
        if attention.query_key.bias is not None:
            # The bias of keys adds the same to all scores of a query, and softmax cancels it.
            bias = graph.constant(np.split(attention.query_key.bias, 2)[0], f"{name}.query.bias")
            query = graph.node("Add", query, bias)
        return [query, key, value]

    def _rotate(self, query_key: str, rotation: Rotation) -> str:
        """Rotates packed queries and keys `[T, 2 * hidden]`; all heads have the same rotation."""
        graph = self._graph
        axis = graph.constant(np.array([1], np.int64))
        # Each token is a separate sequence, because the operator rejects sequences longer than the tables of angles.
        rotated = graph.node(
            "RotaryEmbedding",
            graph.node("Unsqueeze", query_key, axis),
            graph.node("Unsqueeze", "position_ids", axis),
            *self._angles(rotation),
            domain=MICROSOFT,
        )
        return graph.node("Squeeze", rotated, axis)

    def _angles(self, rotation: Rotation) -> tuple[str, str]:
        """Returns the tables of a rotation, which are added once for all layers that use it."""
        if id(rotation) not in self._rotations:
            tables = self._graph.constant(rotation.cosines), self._graph.constant(rotation.sines)
            self._rotations[id(rotation)] = tables
        return self._rotations[id(rotation)]
