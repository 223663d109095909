"""Random weights for the native encoder."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from server.encoding.native.architecture import Architecture

Tensors = dict[str, NDArray[Any]]


def random_tensors(
    architecture: Architecture, *, hidden: int, inner: int, embedding: int | None = None, distance_bias: bool = False
) -> Tensors:
    """Returns weights about as large as trained ones, with 90 tokens and 200 positions."""
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
