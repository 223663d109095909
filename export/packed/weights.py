"""The parts of a transformer encoder, with one name for all families."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

Activation = Literal["gelu", "tanh-gelu"]
"""Gelu with the error function, or its approximation with the hyperbolic tangent."""


@dataclass(frozen=True)
class Linear:
    """`x @ weight + bias`, with the weight `[inputs, outputs]`; a bias of None means no bias."""

    weight: Array
    bias: Array | None


@dataclass(frozen=True)
class Norm:
    """A layer normalisation; a bias of None means no bias."""

    gain: Array
    bias: Array | None
    epsilon: float


@dataclass(frozen=True)
class Rotation:
    """Rotates each pair of numbers that are half a head apart, by an angle that grows with the token's position.

    Attributes:
        cosines: Cosine of the angle for each position and pair `[max_tokens, head / 2]`.
        sines: Sine of the same angles.
    """

    cosines: Array
    sines: Array


@dataclass(frozen=True)
class Attention:
    """Self-attention.

    The bias of values is part of the bias of `output`: softmax weights sum to 1, so attention does not change it.

    Attributes:
        query_key: Projection to queries and keys side by side `[hidden, 2 * hidden]`.
        value: Projection to values.
        output: Projection from the heads' values to the hidden dimension.
        rotation: The rotation of queries and keys, or None.
        distance_bias: The bias `[heads or 1, 2 * reach + 1]` of the scores by the position of the key minus that of the
            query, from `-reach` to `reach`, or None. Greater distances count as the nearest end.
    """

    query_key: Linear
    value: Array
    output: Linear
    rotation: Rotation | None = None
    distance_bias: Array | None = None


def attention(
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    *,
    rotation: Rotation | None = None,
    distance_bias: Array | None = None,
) -> Attention:
    """Returns an attention made from its four products; the first three all have a bias, or none has."""
    query_key_bias = None
    if query.bias is not None and key.bias is not None:
        query_key_bias = np.concatenate([query.bias, key.bias])
    output_bias = output.bias
    if value.bias is not None:
        moved = value.bias @ output.weight
        output_bias = moved if output.bias is None else output.bias + moved
    return Attention(
        query_key=Linear(np.concatenate([query.weight, key.weight], axis=1), query_key_bias),
        value=value.weight,
        output=Linear(output.weight, output_bias),
        rotation=rotation,
        distance_bias=distance_bias,
    )


@dataclass(frozen=True)
class Layer:
    """Self-attention and feed-forward, each followed by a residual and a normalisation."""

    attention: Attention
    attention_norm: Norm
    intermediate: Linear
    output: Linear
    output_norm: Norm


@dataclass(frozen=True)
class GatedLayer:
    """Self-attention and a gated feed-forward, each with a normalisation before it and a residual around both.

    Attributes:
        attention_norm: Normalisation before the self-attention; None if the rows are already normalised.
        attention: The self-attention.
        feed_forward_norm: Normalisation before the feed-forward.
        intermediate: Projection to the activation.
        gate: Projection to the factor of the activation.
        output: Projection from their product to the hidden dimension.
    """

    attention_norm: Norm | None
    attention: Attention
    feed_forward_norm: Norm
    intermediate: Linear
    gate: Linear
    output: Linear


@dataclass(frozen=True)
class Stack:
    """Consecutive layers, which are applied together `times` times."""

    layers: Sequence[Layer | GatedLayer]
    times: int = 1


@dataclass(frozen=True)
class EncoderWeights:
    """A whole encoder.

    Attributes:
        words: Embedding of each token `[vocabulary, embedding]`.
        positions: Embedding of each position of a text, from its first token on `[max_tokens, embedding]`, or None. It
            includes the embedding of token type 0.
        embedding_norm: Normalisation of their sum.
        projection: From the embedding's dimension to the hidden one, if they differ (ELECTRA, ALBERT).
        stacks: The layers; one stack if no layers share their weights.
        heads: Number of attention heads in each layer.
        activation: The activation of the feed-forward.
        final_norm: Normalisation after the last layer, or None.
    """

    words: Array
    positions: Array | None
    embedding_norm: Norm
    projection: Linear | None
    stacks: list[Stack]
    heads: int
    activation: Activation
    final_norm: Norm | None = None
