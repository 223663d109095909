"""What a transformer encoder consists of, whatever its family calls the parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

Activation = Literal["gelu", "tanh-gelu"]
"""Gelu by the error function, or its approximation by the hyperbolic tangent."""


@dataclass(frozen=True)
class Linear:
    """`x @ weight + bias`, with the weight `[inputs, outputs]`; a bias of None is none."""

    weight: Array
    bias: Array | None


@dataclass(frozen=True)
class Norm:
    """A layer normalisation; a bias of None is none."""

    gain: Array
    bias: Array | None
    epsilon: float


@dataclass(frozen=True)
class Rotation:
    """Turns each pair of numbers that are half a head apart by an angle that grows with the place of the token.

    Attributes:
        cosines: Of the angle of each place and pair `[max_tokens, head / 2]`.
        sines: Of the same.
    """

    cosines: Array
    sines: Array


@dataclass(frozen=True)
class Attention:
    """Self-attention.

    The bias of values passes through softmax unchanged, whose weights sum up to 1: it stands in that of `output`.

    Attributes:
        query_key: To queries and keys side by side `[hidden, 2 * hidden]`.
        value: To values.
        output: From the heads' values to the hidden dimension.
        rotation: What is done to queries and keys, if anything.
        distance_bias: What is added to the scores, if anything, by the place of the key less that of the query: from
            `-reach` to `reach`, and what is farther away counts as the end `[heads or 1, 2 * reach + 1]`.
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
    """Makes an attention out of its four products; the first three have all a bias or none."""
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
    """Self-attention and feed-forward, each with a residual and a normalisation behind it."""

    attention: Attention
    attention_norm: Norm
    intermediate: Linear
    output: Linear
    output_norm: Norm


@dataclass(frozen=True)
class GatedLayer:
    """Self-attention and a gated feed-forward, each with a normalisation before it and a residual around both.

    Attributes:
        attention_norm: None if the rows are normalised already.
        attention: The self-attention.
        feed_forward_norm: Of the feed-forward.
        intermediate: What is activated.
        gate: What is multiplied by it.
        output: From their product to the hidden dimension.
    """

    attention_norm: Norm | None
    attention: Attention
    feed_forward_norm: Norm
    intermediate: Linear
    gate: Linear
    output: Linear


@dataclass(frozen=True)
class Stack:
    """Layers one behind the other, all of them `times` times."""

    layers: Sequence[Layer | GatedLayer]
    times: int = 1


@dataclass(frozen=True)
class EncoderWeights:
    """A whole encoder.

    Attributes:
        words: Embedding of each token `[vocabulary, embedding]`.
        positions: Embedding of each position of a text, from its first token on `[max_tokens, embedding]`, if it has
            one. Holds the embedding of the only token type as well.
        embedding_norm: Normalisation of their sum.
        projection: From the embedding's dimension to the hidden one, where they differ (ELECTRA, ALBERT).
        stacks: The layers: one stack of them, where no layers share their weights.
        heads: Attention heads of each layer.
        activation: Of the feed-forward.
        final_norm: Normalisation behind the last layer, if any.
    """

    words: Array
    positions: Array | None
    embedding_norm: Norm
    projection: Linear | None
    stacks: list[Stack]
    heads: int
    activation: Activation
    final_norm: Norm | None = None
