"""What a post-norm transformer encoder consists of, whatever its family calls the parts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


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
class Layer:
    """Self-attention and feed-forward, each with a residual and a normalisation behind it."""

    query: Linear
    key: Linear
    value: Linear
    attention_output: Linear
    attention_norm: Norm
    intermediate: Linear
    output: Linear
    output_norm: Norm


@dataclass(frozen=True)
class EncoderWeights:
    """A whole encoder.

    Attributes:
        words: Embedding of each token `[vocabulary, embedding]`.
        positions: Embedding of each position of a text, from its first token on `[max_tokens, embedding]`. Holds
            the embedding of the only token type as well.
        embedding_norm: Normalisation of their sum.
        projection: From the embedding's dimension to the hidden one, where they differ (ELECTRA).
        layers: The layers.
        heads: Attention heads of each layer.
    """

    words: Array
    positions: Array
    embedding_norm: Norm
    projection: Linear | None
    layers: list[Layer]
    heads: int
