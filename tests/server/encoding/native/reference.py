"""The same encoder in NumPy and fp32, out of the same bytes, and random weights for both."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from server.encoding.native.architecture import Architecture

Tensors = dict[str, NDArray[Any]]

erf = np.vectorize(math.erf)


def random_tensors(
    architecture: Architecture, *, hidden: int, inner: int, embedding: int | None = None, distance_bias: bool = False
) -> Tensors:
    """Weights of the size that trained ones have, with 90 tokens and 200 positions."""
    random = np.random.default_rng(5)
    embedding = embedding or hidden
    tensors: Tensors = {}

    def floats(name: str, *shape: int, size: float = 0.3, centre: float = 0.0) -> None:
        tensors[name] = (centre + size * random.standard_normal(shape)).astype(np.float32)

    def product(name: str, inputs: int, outputs: int) -> None:
        tensors[f"{name}.weight"] = random.integers(-127, 128, (inputs, outputs)).astype(np.int8)
        tensors[f"{name}.scale"] = (random.uniform(0.5, 1.5, outputs) * 0.012 / math.sqrt(inputs)).astype(np.float32)
        floats(f"{name}.bias", outputs)

    tensors["embeddings.words.weight"] = random.integers(-127, 128, (90, embedding)).astype(np.int8)
    floats("embeddings.words.scale", 90, 1, size=0.002, centre=0.01)
    floats("embeddings.positions", 200, embedding)
    norms = ["embeddings.norm"]
    if embedding != hidden:
        product("projection", embedding, hidden)
    for number in range(architecture.layers):
        layer = f"layers.{number}"
        product(f"{layer}.qkv", hidden, 3 * hidden)
        tensors[f"{layer}.query.bias"] = tensors.pop(f"{layer}.qkv.bias")[:hidden]
        product(f"{layer}.attention_output", hidden, hidden)
        product(f"{layer}.intermediate", hidden, inner)
        product(f"{layer}.output", inner, hidden)
        norms += [f"{layer}.attention_norm", f"{layer}.output_norm"]
    for name in norms:
        width = embedding if name == "embeddings.norm" else hidden
        floats(f"{name}.gain", width, centre=1.0)
        floats(f"{name}.bias", width)
    if distance_bias:
        floats("attention.distance_bias", architecture.heads, 399, size=1.0)
    return tensors


def reference(architecture: Architecture, tensors: Tensors, texts: Sequence[Sequence[int]]) -> NDArray[np.float32]:
    """Encodes texts with the weights as they are, and activations in full precision."""
    return np.stack([_text(architecture, tensors, text) for text in texts]).astype(np.float32)


def _text(architecture: Architecture, tensors: Tensors, text: Sequence[int]) -> NDArray[np.float64]:
    def norm(rows: NDArray[np.float64], name: str) -> NDArray[np.float64]:
        centred = rows - rows.mean(-1, keepdims=True)
        unit = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + architecture.epsilon)
        return np.asarray(unit * tensors[f"{name}.gain"] + tensors[f"{name}.bias"])

    def product(rows: NDArray[np.float64], name: str, bias: str) -> NDArray[np.float64]:
        weight = tensors[f"{name}.weight"].astype(np.float64) * tensors[f"{name}.scale"]
        return np.asarray(rows @ weight + tensors.get(bias, np.zeros(weight.shape[1])))

    ids = np.array(text)
    words = tensors["embeddings.words.weight"][ids] * tensors["embeddings.words.scale"][ids].astype(np.float64)
    rows = norm(words + tensors["embeddings.positions"][: len(ids)], "embeddings.norm")
    if "projection.weight" in tensors:
        rows = product(rows, "projection", "projection.bias")
    for number in range(architecture.layers):
        layer = f"layers.{number}"
        rows = norm(rows + _attention(architecture, tensors, rows, layer, product), f"{layer}.attention_norm")
        inside = product(rows, f"{layer}.intermediate", f"{layer}.intermediate.bias")
        inside = _gelu(inside, architecture.activation)
        rows = norm(rows + product(inside, f"{layer}.output", f"{layer}.output.bias"), f"{layer}.output_norm")
    vector = {"mean": rows.mean(0), "cls": rows[0], "lasttoken": rows[-1]}[architecture.pooling]
    return np.asarray(vector / np.linalg.norm(vector) if architecture.normalise else vector)


def _attention(
    architecture: Architecture, tensors: Tensors, rows: NDArray[np.float64], layer: str, product: Any
) -> NDArray[np.float64]:
    length, hidden = rows.shape
    packed = product(rows, f"{layer}.qkv", "")
    packed[:, :hidden] += tensors[f"{layer}.query.bias"]
    query, key, value = packed.reshape(length, 3, architecture.heads, -1).transpose(1, 2, 0, 3)
    scores = query @ key.transpose(0, 2, 1) / math.sqrt(query.shape[-1])
    if "attention.distance_bias" in tensors:
        middle = tensors["attention.distance_bias"].shape[1] // 2
        distances = np.arange(length)[None, :] - np.arange(length)[:, None] + middle
        scores = scores + tensors["attention.distance_bias"][:, distances]
    shares = np.exp(scores - scores.max(-1, keepdims=True))
    shares /= shares.sum(-1, keepdims=True)
    heads = (shares @ value).transpose(1, 0, 2).reshape(length, hidden)
    result: NDArray[np.float64] = product(heads, f"{layer}.attention_output", f"{layer}.attention_output.bias")
    return result


def _gelu(x: NDArray[np.float64], activation: str) -> NDArray[np.float64]:
    if activation == "gelu":
        result: NDArray[np.float64] = 0.5 * x * (1 + erf(x / math.sqrt(2)))
    else:
        result = 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return result
