"""Writes one layer of an encoder."""

from __future__ import annotations

from export.packed.attention import AttentionNodes
from export.packed.builder import GraphBuilder, Products
from export.packed.gelu import LOWEST, gelu
from export.packed.norm import layer_norm
from export.packed.weights import Activation, GatedLayer, Layer


class LayerNodes:
    """Writes layers that are not repeated, or those inside of one repetition."""

    def __init__(self, graph: GraphBuilder, products: Products, *, heads: int, activation: Activation) -> None:
        self._graph = graph
        self._products = products
        self._attention = AttentionNodes(graph, products, heads=heads)
        self._activation = activation

    def apply(self, layer: Layer | GatedLayer, rows: str) -> str:
        """Returns the layer's rows `[T, hidden]`."""
        return self._gated(layer, rows) if isinstance(layer, GatedLayer) else self._post_norm(layer, rows)

    def _post_norm(self, layer: Layer, rows: str) -> str:
        graph, products = self._graph, self._products
        attended = self._attention.attend(layer.attention, products.operand(rows))
        rows = layer_norm(graph, graph.node("Add", attended, rows), layer.attention_norm)
        inner = products.product(products.operand(rows), layer.intermediate.weight)
        inner = gelu(graph, inner, layer.intermediate.bias, self._activation)
        output = products.linear(products.operand(inner, lowest=LOWEST[self._activation]), layer.output)
        return layer_norm(graph, graph.node("Add", output, rows), layer.output_norm)

    def _gated(self, layer: GatedLayer, rows: str) -> str:
        graph, products = self._graph, self._products
        normalised = rows if layer.attention_norm is None else layer_norm(graph, rows, layer.attention_norm)
        rows = graph.node("Add", self._attention.attend(layer.attention, products.operand(normalised)), rows)
        operand = products.operand(layer_norm(graph, rows, layer.feed_forward_norm))
        inner = products.product(operand, layer.intermediate.weight)
        inner = gelu(graph, inner, layer.intermediate.bias, self._activation)
        inner = graph.node("Mul", inner, products.linear(operand, layer.gate))
        return graph.node("Add", products.linear(products.operand(inner), layer.output), rows)
