"""Reads the weights out of transformers models: BERT, RoBERTa, XLM-RoBERTa, CamemBERT, ELECTRA, DistilBERT."""

from __future__ import annotations

from typing import Any

import numpy as np

from export.packed.weights import Array, EncoderWeights, Layer, Linear, Norm


class UnknownArchitecture(Exception):
    """The packed graph has no way to say what this model computes."""


def read_weights(model: Any) -> EncoderWeights:
    """Reads the encoder of a transformers model in fp32.

    Raises:
        UnknownArchitecture: The family, its activation or its kind of positions is not known.
    """
    config = model.config
    activation = getattr(config, "hidden_act", None) or getattr(config, "activation", None)
    if config.model_type not in ("bert", "roberta", "xlm-roberta", "camembert", "electra", "distilbert"):
        raise UnknownArchitecture(f"the packed layout does not know {config.model_type}")
    if getattr(config, "is_decoder", False) or getattr(config, "add_cross_attention", False):
        raise UnknownArchitecture("the packed layout does not know decoders")
    if activation != "gelu":
        raise UnknownArchitecture(f"the packed layout does not know the activation {activation}")
    if getattr(config, "position_embedding_type", "absolute") != "absolute":
        raise UnknownArchitecture(f"the packed layout does not know {config.position_embedding_type} positions")
    return _distilbert(model) if config.model_type == "distilbert" else _bert(model)


def read_linear(module: Any) -> Linear:
    """Reads a linear layer of torch in fp32; one without a bias gets a bias of zeros."""
    weight = _array(module.weight).T
    return Linear(weight, np.zeros(weight.shape[1], np.float32) if module.bias is None else _array(module.bias))


def _bert(model: Any) -> EncoderWeights:
    """BERT and all that kept its names."""
    embeddings = model.embeddings
    projection = getattr(model, "embeddings_project", None)
    token_type = _array(embeddings.token_type_embeddings.weight)[0]
    return EncoderWeights(
        words=_array(embeddings.word_embeddings.weight),
        positions=_positions(embeddings.position_embeddings) + token_type,
        embedding_norm=_norm(embeddings.LayerNorm),
        projection=None if projection is None else _linear(projection),
        layers=[
            Layer(
                query=_linear(layer.attention.self.query),
                key=_linear(layer.attention.self.key),
                value=_linear(layer.attention.self.value),
                attention_output=_linear(layer.attention.output.dense),
                attention_norm=_norm(layer.attention.output.LayerNorm),
                intermediate=_linear(layer.intermediate.dense),
                output=_linear(layer.output.dense),
                output_norm=_norm(layer.output.LayerNorm),
            )
            for layer in model.encoder.layer
        ],
        heads=model.config.num_attention_heads,
    )


def _distilbert(model: Any) -> EncoderWeights:
    embeddings = model.embeddings
    return EncoderWeights(
        words=_array(embeddings.word_embeddings.weight),
        positions=_positions(embeddings.position_embeddings),
        embedding_norm=_norm(embeddings.LayerNorm),
        projection=None,
        layers=[
            Layer(
                query=_linear(layer.attention.q_lin),
                key=_linear(layer.attention.k_lin),
                value=_linear(layer.attention.v_lin),
                attention_output=_linear(layer.attention.out_lin),
                attention_norm=_norm(layer.sa_layer_norm),
                intermediate=_linear(layer.ffn.lin1),
                output=_linear(layer.ffn.lin2),
                output_norm=_norm(layer.output_layer_norm),
            )
            for layer in model.transformer.layer
        ],
        heads=model.config.n_heads,
    )


def _positions(table: Any) -> Array:
    """Returns the positions from that of the first token on: RoBERTa and its kin count from the padding id."""
    first = 0 if table.padding_idx is None else table.padding_idx + 1
    return _array(table.weight)[first:]


def _linear(module: Any) -> Linear:
    return Linear(weight=_array(module.weight).T, bias=_array(module.bias))


def _norm(module: Any) -> Norm:
    return Norm(gain=_array(module.weight), bias=_array(module.bias), epsilon=float(module.eps))


def _array(tensor: Any) -> Array:
    return np.ascontiguousarray(tensor.detach().float().cpu().numpy())
