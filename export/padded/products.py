"""Finds the nodes of a padded graph that are matrix products or embedding tables."""

from __future__ import annotations

from pathlib import Path

import onnx

PRODUCTS = ("MatMul", "Gemm")
TABLES = ("Gather",)


def product_names(graph: Path) -> list[str]:
    """Returns the names of products with constant weights and of embedding tables, in the order of the graph.

    Quantization makes these nodes INT8.
    """
    model = onnx.load(str(graph), load_external_data=False)
    weights = {constant.name for constant in model.graph.initializer if len(constant.dims) > 1}
    return [
        node.name
        for node in model.graph.node
        if (node.op_type in PRODUCTS and any(name in weights for name in node.input[:2]))
        or (node.op_type in TABLES and node.input[0] in weights)
    ]


def other_products(graph: Path) -> list[str]:
    """Returns the names of the products without constant weights, which are those of attention."""
    names = set(product_names(graph))
    model = onnx.load(str(graph), load_external_data=False)
    return [node.name for node in model.graph.node if node.op_type in PRODUCTS and node.name not in names]
