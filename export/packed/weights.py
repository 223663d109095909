"""What a transformer encoder consists of, whatever its family calls the parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

Activation = Literal["gelu", "tanh-gelu"]
"""Gelu by the error function, or its approximation by the hyperbolic tangent."""


@dataclass(frozen=True)
class Linear:
    """`x @ weight + bias`, with the weight `[inputs, outputs]`."""

    weight: Array
    bias: Array


@dataclass(frozen=True)
class Norm:
    """A layer normalisation."""

    gain: Array
    bias: Array
    epsilon: float


@dataclass(frozen=True)
class Attention:
    """Self-attention.

    Attributes:
        projection: To queries, keys and values side by side `[hidden, 3 * hidden]`.
        query_bias: Bias of the queries.
        output: From the heads' values to the hidden dimension. Its bias holds that of values as well.
        distance_bias: What is added to the scores, by the place of the key less that of the query: from `-reach` to
            `reach`, and what is farther away counts as the end `[heads, 2 * reach + 1]`.
    """

    projection: Array
    query_bias: Array
    output: Linear
    distance_bias: Array | None = None


def attention(
    query: Linear, key: Linear, value: Linear, output: Linear, distance_bias: Array | None = None
) -> Attention:
    """Makes an attention out of its four products.

    Of the bias of keys nothing is left behind softmax, and that of values passes through it unchanged (its weights
    sum up to 1): so the one is dropped and the other moved behind the product that follows.
    """
    return Attention(
        projection=np.concatenate([query.weight, key.weight, value.weight], axis=1),
        query_bias=query.bias,
        output=Linear(output.weight, output.bias + value.bias @ output.weight),
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
class Stack:
    """Layers one behind the other, all of them `times` times."""

    layers: list[Layer]
    times: int = 1


@dataclass(frozen=True)
class EncoderWeights:
    """A whole encoder.

    Attributes:
        words: Embedding of each token `[vocabulary, embedding]`.
        positions: Embedding of each position of a text, from its first token on `[max_tokens, embedding]`. Holds
            the embedding of the only token type as well.
        embedding_norm: Normalisation of their sum.
        projection: From the embedding's dimension to the hidden one, where they differ (ELECTRA, ALBERT).
        stacks: The layers: one stack of them, where no layers share their weights.
        heads: Attention heads of each layer.
        activation: Of the feed-forward.
    """

    words: Array
    positions: Array
    embedding_norm: Norm
    projection: Linear | None
    stacks: list[Stack]
    heads: int
    activation: Activation
