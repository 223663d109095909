"""MPNet: BERT that also looks at how far two tokens are apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from export.packed.architectures.modules import array, linear, norm, positions
from export.packed.weights import Activation, Array, EncoderWeights, Layer, Stack, attention


def mpnet(model: Any, activation: Activation) -> EncoderWeights:
    """Reads MPNet; all layers have the same bias by distance."""
    embeddings = model.embeddings
    places = positions(embeddings.position_embeddings)
    distance_bias = _distance_bias(model.encoder, max_tokens=len(places))
    return EncoderWeights(
        words=array(embeddings.word_embeddings.weight),
        positions=places,
        embedding_norm=norm(embeddings.LayerNorm),
        projection=None,
        stacks=[
            Stack(
                [
                    Layer(
                        attention=attention(
                            query=linear(layer.attention.attn.q),
                            key=linear(layer.attention.attn.k),
                            value=linear(layer.attention.attn.v),
                            output=linear(layer.attention.attn.o),
                            distance_bias=distance_bias,
                        ),
                        attention_norm=norm(layer.attention.LayerNorm),
                        intermediate=linear(layer.intermediate.dense),
                        output=linear(layer.output.dense),
                        output_norm=norm(layer.output.LayerNorm),
                    )
                    for layer in model.encoder.layer
                ]
            )
        ],
        heads=model.config.num_attention_heads,
        activation=activation,
    )


def _distance_bias(encoder: Any, *, max_tokens: int) -> Array:
    """Returns the bias of each distance that a text can have `[heads, 2 * max_tokens - 1]`.

    The model has one for each bucket of distances. Its own function tells the bucket, with its own defaults, as in
    transformers, which does not ask the config for the number of buckets.
    """
    buckets = encoder.relative_position_bucket(torch.arange(1 - max_tokens, max_tokens))
    return np.ascontiguousarray(array(encoder.relative_attention_bias.weight)[buckets.numpy()].T)
