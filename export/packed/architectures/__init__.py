"""Reads the weights of transformers models, with one function for each family."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from export.packed.architectures.albert import albert
from export.packed.architectures.bert import bert, distilbert
from export.packed.architectures.modernbert import modernbert
from export.packed.architectures.modules import linear as read_linear
from export.packed.architectures.mpnet import mpnet
from export.packed.architectures.unknown import UnknownArchitecture
from export.packed.weights import Activation, EncoderWeights

__all__ = ["UnknownArchitecture", "read_linear", "read_weights"]

FAMILIES: dict[str, Callable[[Any, Activation], EncoderWeights]] = {
    "albert": albert,
    "bert": bert,
    "camembert": bert,
    "distilbert": distilbert,
    "electra": bert,
    "modernbert": modernbert,
    "mpnet": mpnet,
    "roberta": bert,
    "xlm-roberta": bert,
}
"""The function that reads a model, by the family in its config."""

ACTIVATIONS: dict[str, Activation] = {"gelu": "gelu", "gelu_new": "tanh-gelu", "gelu_pytorch_tanh": "tanh-gelu"}


def read_weights(model: Any) -> EncoderWeights:
    """Reads the encoder of a transformers model in fp32.

    Raises:
        UnknownArchitecture: The family, the activation or the kind of positions is not supported.
    """
    config = model.config
    names = (getattr(config, name, None) for name in ("hidden_act", "activation", "hidden_activation"))
    activation = next((name for name in names if name), None)
    if config.model_type not in FAMILIES:
        raise UnknownArchitecture(f"the packed layout does not support {config.model_type}")
    if getattr(config, "is_decoder", False) or getattr(config, "add_cross_attention", False):
        raise UnknownArchitecture("the packed layout does not support decoders")
    if activation not in ACTIVATIONS:
        raise UnknownArchitecture(f"the packed layout does not support the activation {activation}")
    if getattr(config, "position_embedding_type", "absolute") != "absolute":
        raise UnknownArchitecture(f"the packed layout does not support {config.position_embedding_type} positions")
    return FAMILIES[config.model_type](model, ACTIVATIONS[activation])
