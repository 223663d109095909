"""BERT, the models with its module names (RoBERTa, XLM-RoBERTa, CamemBERT, ELECTRA), and DistilBERT."""

from __future__ import annotations

from typing import Any

from export.packed.architectures.modules import array, linear, norm, positions, post_norm_layer
from export.packed.weights import Activation, EncoderWeights, Stack


def bert(model: Any, activation: Activation) -> EncoderWeights:
    """Reads BERT, and models with its module names."""
    embeddings = model.embeddings
    projection = getattr(model, "embeddings_project", None)
    token_type = array(embeddings.token_type_embeddings.weight)[0]
    return EncoderWeights(
        words=array(embeddings.word_embeddings.weight),
        positions=positions(embeddings.position_embeddings) + token_type,
        embedding_norm=norm(embeddings.LayerNorm),
        projection=None if projection is None else linear(projection),
        stacks=[
            Stack(
                [
                    post_norm_layer(
                        query=layer.attention.self.query,
                        key=layer.attention.self.key,
                        value=layer.attention.self.value,
                        attention_output=layer.attention.output.dense,
                        attention_norm=layer.attention.output.LayerNorm,
                        intermediate=layer.intermediate.dense,
                        output=layer.output.dense,
                        output_norm=layer.output.LayerNorm,
                    )
                    for layer in model.encoder.layer
                ]
            )
        ],
        heads=model.config.num_attention_heads,
        activation=activation,
    )


def distilbert(model: Any, activation: Activation) -> EncoderWeights:
    """Reads DistilBERT."""
    embeddings = model.embeddings
    return EncoderWeights(
        words=array(embeddings.word_embeddings.weight),
        positions=positions(embeddings.position_embeddings),
        embedding_norm=norm(embeddings.LayerNorm),
        projection=None,
        stacks=[
            Stack(
                [
                    post_norm_layer(
                        query=layer.attention.q_lin,
                        key=layer.attention.k_lin,
                        value=layer.attention.v_lin,
                        attention_output=layer.attention.out_lin,
                        attention_norm=layer.sa_layer_norm,
                        intermediate=layer.ffn.lin1,
                        output=layer.ffn.lin2,
                        output_norm=layer.output_layer_norm,
                    )
                    for layer in model.transformer.layer
                ]
            )
        ],
        heads=model.config.n_heads,
        activation=activation,
    )
