"""BERT and all that kept its names (RoBERTa, XLM-RoBERTa, CamemBERT, ELECTRA), and DistilBERT."""

from __future__ import annotations

from typing import Any

from export.packed.architectures.modules import array, linear, norm, positions
from export.packed.weights import Activation, EncoderWeights, Layer, Stack, attention


def bert(model: Any, activation: Activation) -> EncoderWeights:
    """Reads BERT and its kin."""
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
                    Layer(
                        attention=attention(
                            query=linear(layer.attention.self.query),
                            key=linear(layer.attention.self.key),
                            value=linear(layer.attention.self.value),
                            output=linear(layer.attention.output.dense),
                        ),
                        attention_norm=norm(layer.attention.output.LayerNorm),
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
                    Layer(
                        attention=attention(
                            query=linear(layer.attention.q_lin),
                            key=linear(layer.attention.k_lin),
                            value=linear(layer.attention.v_lin),
                            output=linear(layer.attention.out_lin),
                        ),
                        attention_norm=norm(layer.sa_layer_norm),
                        intermediate=linear(layer.ffn.lin1),
                        output=linear(layer.ffn.lin2),
                        output_norm=norm(layer.output_layer_norm),
                    )
                    for layer in model.transformer.layer
                ]
            )
        ],
        heads=model.config.n_heads,
        activation=activation,
    )
