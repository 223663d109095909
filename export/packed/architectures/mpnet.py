"""MPNet: BERT with an attention bias by the distance between two tokens."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from export.packed.architectures.modules import array, norm, positions, post_norm_layer
from export.packed.weights import Activation, Array, EncoderWeights, Stack


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
                    post_norm_layer(
                        query=layer.attention.attn.q,
                        key=layer.attention.attn.k,
                        value=layer.attention.attn.v,
                        attention_output=layer.attention.attn.o,
                        attention_norm=layer.attention.LayerNorm,
                        intermediate=layer.intermediate.dense,
                        output=layer.output.dense,
                        output_norm=layer.output.LayerNorm,
                        distance_bias=distance_bias,
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

    The model has one bias for each bucket of distances. Its own function computes the bucket with default arguments, as
    in transformers, which ignores the number of buckets in the config.
    """
    buckets = encoder.relative_position_bucket(torch.arange(1 - max_tokens, max_tokens))
    return np.ascontiguousarray(array(encoder.relative_attention_bias.weight)[buckets.numpy()].T)
