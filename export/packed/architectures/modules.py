"""Reads torch modules that many families share."""

from __future__ import annotations

from typing import Any

import numpy as np

from export.packed.weights import Array, Layer, Linear, Norm, attention


def array(tensor: Any) -> Array:
    """Returns a tensor in fp32."""
    return np.ascontiguousarray(tensor.detach().float().cpu().numpy())


def linear(module: Any) -> Linear:
    """Reads a Linear."""
    return Linear(weight=array(module.weight).T, bias=None if module.bias is None else array(module.bias))


def norm(module: Any) -> Norm:
    """Reads a LayerNorm."""
    bias = None if module.bias is None else array(module.bias)
    return Norm(gain=array(module.weight), bias=bias, epsilon=float(module.eps))


def positions(table: Any) -> Array:
    """Returns the positions from the first token on; RoBERTa and similar models count from the padding id."""
    first = 0 if table.padding_idx is None else table.padding_idx + 1
    return array(table.weight)[first:]


def post_norm_layer(
    *,
    query: Any,
    key: Any,
    value: Any,
    attention_output: Any,
    attention_norm: Any,
    intermediate: Any,
    output: Any,
    output_norm: Any,
    distance_bias: Array | None = None,
) -> Layer:
    """Reads a layer from its modules, whose names differ between families."""
    return Layer(
        attention=attention(
            query=linear(query),
            key=linear(key),
            value=linear(value),
            output=linear(attention_output),
            distance_bias=distance_bias,
        ),
        attention_norm=norm(attention_norm),
        intermediate=linear(intermediate),
        output=linear(output),
        output_norm=norm(output_norm),
    )
