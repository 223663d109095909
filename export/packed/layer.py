"""Writes a layer of BERT and its kin: each half has a residual and a normalisation behind it."""

from __future__ import annotations

from export.packed.attention import AttentionNodes
from export.packed.builder import GraphBuilder, Products
from export.packed.gelu import LOWEST, gelu
from export.packed.norm import layer_norm
from export.packed.weights import Activation, Layer


def post_norm_layer(
    graph: GraphBuilder,
    products: Products,
    attention: AttentionNodes,
    layer: Layer,
    rows: str,
    *,
    activation: Activation,
) -> str:
    """Returns the layer's rows `[T, hidden]`."""
    attended = attention.attend(layer.attention, rows)
    rows = layer_norm(graph, graph.node("Add", attended, rows), layer.attention_norm)
    inner = products.product(products.operand(rows), layer.intermediate.weight)
    inner = gelu(graph, inner, layer.intermediate.bias, activation)
    output = products.product(products.operand(inner, lowest=LOWEST[activation]), layer.output.weight)
    output = graph.node("Add", output, graph.constant(layer.output.bias))
    return layer_norm(graph, graph.node("Add", output, rows), layer.output_norm)
