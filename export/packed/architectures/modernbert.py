"""ModernBERT: rotary positions, attention windows in most layers, gated feed-forward."""

from __future__ import annotations

from typing import Any

import numpy as np

from export.packed.architectures.modules import array, linear, norm
from export.packed.architectures.unknown import UnknownArchitecture
from export.packed.weights import (
    Activation,
    Array,
    Attention,
    EncoderWeights,
    GatedLayer,
    Linear,
    Norm,
    Rotation,
    Stack,
    attention,
)

MASKED = np.finfo(np.float32).min
"""The bias of keys outside the window."""


def modernbert(model: Any, activation: Activation) -> EncoderWeights:
    """Reads ModernBERT."""
    config = model.config
    angles = _Angles(max_tokens=config.max_position_embeddings)
    window = _window(config.local_attention // 2)
    layers = []
    for layer in model.layers:
        intermediate, gate = _parts(linear(layer.mlp.Wi), 2)
        layers.append(
            GatedLayer(
                attention_norm=_norm_or_none(layer.attn_norm),
                attention=_attention(layer.attn, angles, window),
                feed_forward_norm=norm(layer.mlp_norm),
                intermediate=intermediate,
                gate=gate,
                output=linear(layer.mlp.Wo),
            )
        )
    return EncoderWeights(
        words=array(model.embeddings.tok_embeddings.weight),
        positions=None,
        embedding_norm=norm(model.embeddings.norm),
        projection=None,
        stacks=[Stack(layers)],
        heads=config.num_attention_heads,
        activation=activation,
        final_norm=norm(model.final_norm),
    )


class _Angles:
    """The rotations of a model: layers with the same frequencies get the same object."""

    def __init__(self, *, max_tokens: int) -> None:
        self._places = np.arange(max_tokens, dtype=np.float32)
        self._rotations: dict[bytes, Rotation] = {}

    def of(self, embedding: Any) -> Rotation:
        """Returns the rotation of a layer."""
        if "dynamic" in embedding.rope_type or embedding.rope_type == "longrope":
            raise UnknownArchitecture(f"the packed layout does not support {embedding.rope_type} rotary positions")
        frequencies, factor = array(embedding.inv_freq), np.float32(embedding.attention_scaling)
        key = frequencies.tobytes() + factor.tobytes()
        if key not in self._rotations:
            angles = self._places[:, None] * frequencies
            self._rotations[key] = Rotation(np.cos(angles) * factor, np.sin(angles) * factor)
        return self._rotations[key]


def _attention(module: Any, angles: _Angles, window: Array) -> Attention:
    query, key, value = _parts(linear(module.Wqkv), 3)
    # -1 on both sides means that the layer has no window.
    distance_bias = None if module.local_attention == (-1, -1) else window
    return attention(
        query,
        key,
        value,
        linear(module.Wo),
        rotation=angles.of(module.rotary_emb),
        distance_bias=distance_bias,
    )


def _window(reach: int) -> Array:
    """Returns a distance bias that masks keys more than `reach` positions away."""
    bias = np.zeros((1, 2 * reach + 3), np.float32)
    bias[:, [0, -1]] = MASKED
    return bias


def _norm_or_none(module: Any) -> Norm | None:
    """Returns None for the first layer, which has an identity because the embeddings are already normalised."""
    return norm(module) if hasattr(module, "weight") else None


def _parts(whole: Linear, count: int) -> list[Linear]:
    """Splits the outputs of a Linear into equal parts."""
    weights = np.split(whole.weight, count, axis=1)
    biases = [None] * count if whole.bias is None else np.split(whole.bias, count)
    return [Linear(weight, bias) for weight, bias in zip(weights, biases, strict=True)]
