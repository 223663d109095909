"""Writes the activation of the feed-forward."""

from __future__ import annotations

from export.packed.builder import MICROSOFT, GraphBuilder
from export.packed.weights import Activation, Array

LOWEST: dict[Activation, float] = {"gelu": -0.17, "tanh-gelu": -0.1701}
"""Below the lowest value of each, -0.169971 and -0.170041."""


def gelu(graph: GraphBuilder, rows: str, bias: Array, activation: Activation) -> str:
    """Applies an activation to rows plus a bias."""
    operator = "BiasGelu" if activation == "gelu" else "FastGelu"
    return graph.node(operator, rows, graph.constant(bias), domain=MICROSOFT)
