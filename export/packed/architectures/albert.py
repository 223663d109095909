"""ALBERT: BERT whose layers share their weights."""

from __future__ import annotations

from typing import Any

from export.packed.architectures.modules import array, linear, norm, positions, post_norm_layer
from export.packed.weights import Activation, EncoderWeights, Stack


def albert(model: Any, activation: Activation) -> EncoderWeights:
    """Reads ALBERT."""
    config, embeddings = model.config, model.embeddings
    groups = [
        [
            post_norm_layer(
                query=layer.attention.query,
                key=layer.attention.key,
                value=layer.attention.value,
                attention_output=layer.attention.dense,
                attention_norm=layer.attention.LayerNorm,
                intermediate=layer.ffn,
                output=layer.ffn_output,
                output_norm=layer.full_layer_layer_norm,
            )
            for layer in group.albert_layers
        ]
        for group in model.encoder.albert_layer_groups
    ]
    # Each iteration applies all layers of one group; the groups divide the iterations among them, in order.
    group_of_turn = [int(turn / (config.num_hidden_layers / len(groups))) for turn in range(config.num_hidden_layers)]
    return EncoderWeights(
        words=array(embeddings.word_embeddings.weight),
        positions=positions(embeddings.position_embeddings) + array(embeddings.token_type_embeddings.weight)[0],
        embedding_norm=norm(embeddings.LayerNorm),
        projection=linear(model.encoder.embedding_hidden_mapping_in),
        stacks=[Stack(layers, group_of_turn.count(number)) for number, layers in enumerate(groups)],
        heads=config.num_attention_heads,
        activation=activation,
    )
