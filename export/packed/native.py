"""Describes a packed model for the server's native encoder, if that can run it."""

from __future__ import annotations

from export.packed.weights import EncoderWeights, Layer, Linear, Norm
from server.encoding.manifest import Pooling
from server.encoding.native.architecture import Architecture


def native_architecture(weights: EncoderWeights, *, pooling: Pooling, normalise: bool) -> Architecture | None:
    """Returns the architecture for the native encoder of a model whose products are all INT8.

    None means that only ONNX Runtime can run it: its layers are shared or gated, have a rotation or lack a bias.
    """
    layers = [layer for stack in weights.stacks for layer in stack.layers if isinstance(layer, Layer)]
    norms = [weights.embedding_norm, *(norm for layer in layers for norm in (layer.attention_norm, layer.output_norm))]
    plain = (
        len(weights.stacks) == 1
        and weights.stacks[0].times == 1
        and len(layers) == len(weights.stacks[0].layers)
        and weights.positions is not None
        and weights.final_norm is None
        and all(layer.attention.rotation is None for layer in layers)
        and len({id(layer.attention.distance_bias) for layer in layers}) == 1
        and _has_biases(layers, norms)
        and len({norm.epsilon for norm in norms}) == 1
    )
    if not plain or pooling == "other":
        return None
    return Architecture(
        heads=weights.heads,
        layers=len(layers),
        epsilon=weights.embedding_norm.epsilon,
        activation=weights.activation,
        pooling=pooling,
        normalise=normalise,
    )


def _has_biases(layers: list[Layer], norms: list[Norm]) -> bool:
    linears: list[Linear | Norm] = [
        linear
        for layer in layers
        for linear in (layer.attention.query_key, layer.attention.output, layer.intermediate, layer.output)
    ]
    return all(each.bias is not None for each in [*linears, *norms])
