"""Writes one layer of an encoder."""

from __future__ import annotations

from export.packed.attention import AttentionNodes
from export.packed.builder import GraphBuilder
from export.packed.gelu import LOWEST, gelu
from export.packed.norm import layer_norm
from export.packed.products import Operand, Products
from export.packed.weights import Activation, GatedLayer, Layer, Linear


class LayerNodes:
    """Writes the layers outside loops, or the layers inside one loop."""

    def __init__(self, graph: GraphBuilder, products: Products, *, heads: int, activation: Activation) -> None:
        self._graph = graph
        self._products = products
        self._attention = AttentionNodes(graph, products, heads=heads)
        self._activation = activation

    def apply(self, layer: Layer | GatedLayer, rows: str, name: str) -> str:
        """Returns the layer's rows `[T, hidden]`; the names of its products begin with `name`."""
        return self._gated(layer, rows, name) if isinstance(layer, GatedLayer) else self._post_norm(layer, rows, name)

    def _post_norm(self, layer: Layer, rows: str, name: str) -> str:
        graph, products = self._graph, self._products
        attended = self._attention.attend(layer.attention, Operand(rows), name)
        rows = layer_norm(graph, graph.node("Add", attended, rows), layer.attention_norm, f"{name}.attention_norm")
        inner = products.product(Operand(rows), layer.intermediate.weight, f"{name}.intermediate")
        inner = self._activated(inner, layer.intermediate, name)
        output = products.linear(Operand(inner, lowest=LOWEST[self._activation]), layer.output, f"{name}.output")
        return layer_norm(graph, graph.node("Add", output, rows), layer.output_norm, f"{name}.output_norm")

    def _gated(self, layer: GatedLayer, rows: str, name: str) -> str:
        graph, products = self._graph, self._products
        normalised = rows
        if layer.attention_norm is not None:
            normalised = layer_norm(graph, rows, layer.attention_norm, f"{name}.attention_norm")
        rows = graph.node("Add", self._attention.attend(layer.attention, Operand(normalised), name), rows)
        operand = Operand(layer_norm(graph, rows, layer.feed_forward_norm, f"{name}.feed_forward_norm"))
        inner = products.product(operand, layer.intermediate.weight, f"{name}.intermediate")
        inner = self._activated(inner, layer.intermediate, name)
        inner = graph.node("Mul", inner, products.linear(operand, layer.gate, f"{name}.gate"))
        return graph.node("Add", products.linear(Operand(inner), layer.output, f"{name}.output"), rows)

    def _activated(self, rows: str, intermediate: Linear, name: str) -> str:
        return gelu(self._graph, rows, intermediate.bias, self._activation, f"{name}.intermediate.bias")
