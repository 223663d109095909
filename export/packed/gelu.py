"""Writes the activation of the feed-forward layer."""

from __future__ import annotations

from export.packed.builder import MICROSOFT, GraphBuilder
from export.packed.weights import Activation, Array

LOWEST: dict[Activation, float] = {"gelu": -0.17, "tanh-gelu": -0.1701}
"""Lower bounds of the activations, whose lowest values are -0.169971 and -0.170041."""


def gelu(graph: GraphBuilder, rows: str, bias: Array | None, activation: Activation, bias_name: str) -> str:
    """Applies an activation to rows, after adding a bias if there is one."""
    exact = "Gelu" if bias is None else "BiasGelu"
    operator = exact if activation == "gelu" else "FastGelu"
    inputs = [rows] if bias is None else [rows, graph.constant(bias, bias_name)]
    return graph.node(operator, *inputs, domain=MICROSOFT)
