"""Lays the weights of a packed INT8 model out for the library.

The weights come from the model's `model.safetensors`, whose metadata describes the architecture.
`export.packed.storage` writes both. Large tables stay mapped from the file.
"""

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from server.encoding.native.architecture import (
    DISTANCE_BIAS,
    MOST_HEADS,
    PANEL_COLUMNS,
    WORDS,
    Architecture,
    check_tensors,
)
from server.encoding.native.library import EncoderStruct, Layer, Norm, Product

ALIGNMENT = 64
"""Bytes of a cache line, and of a vector register."""

LOG2_E = np.float32(np.log2(np.e))
"""The library computes powers of two, not of e."""

POOLINGS = ("mean", "cls", "lasttoken")

GELU_COEFFICIENTS = {
    # x * sigmoid(x * (a + b x² + c x⁴)), fitted to x * Φ(x).
    "gelu": (1.5950157548, 0.0740113036, -0.0007030353),
    # The tanh form is exactly this sigmoid with a = 2 √(2/π), b = 0.044715 a.
    "tanh-gelu": (1.5957691216, 0.0713548163, 0.0),
}


@dataclass(frozen=True)
class NativeWeights:
    """The C struct of an encoder, and the arrays that it points to."""

    encoder: EncoderStruct
    hidden: int
    vocabulary: int
    max_tokens: int
    arrays: list[NDArray[Any]]


def lay_out(architecture: Architecture, tensors: Mapping[str, NDArray[Any]]) -> NativeWeights:
    """Lays out the weights of a model that `can_lay_out` accepts; raises KeyError or ValueError for wrong tensors."""
    check_tensors(architecture, tensors)
    products = [array.size for name, array in tensors.items() if array.dtype == np.int8 and name != WORDS]
    packer = _Packer(tensors, product_bytes=sum(products) + ALIGNMENT * len(products))
    hidden, inner = tensors["layers.0.intermediate.weight"].shape
    order = np.arange(hidden).reshape(architecture.heads, -1).T.reshape(-1)
    layers = (Layer * architecture.layers)()
    for number, layer in enumerate(layers):
        name = f"layers.{number}"
        layer.query_key_value = packer.query_key_value(name, order, heads=architecture.heads)
        layer.attention_output = packer.product(f"{name}.attention_output", rows=order)
        layer.intermediate = packer.product(f"{name}.intermediate")
        layer.output = packer.product(f"{name}.output")
        layer.attention_norm = packer.norm(f"{name}.attention_norm", architecture.epsilon)
        layer.output_norm = packer.norm(f"{name}.output_norm", architecture.epsilon)
    projection = packer.product("projection") if "projection.weight" in tensors else None
    encoder = EncoderStruct(
        hidden=hidden,
        embedding=tensors[WORDS].shape[1],
        inner=inner,
        heads=architecture.heads,
        layer_count=architecture.layers,
        pooling=POOLINGS.index(architecture.pooling),
        normalise=architecture.normalise,
        words=packer.address(tensors[WORDS]),
        word_scales=packer.address(tensors["embeddings.words.scale"]),
        positions=packer.address(tensors["embeddings.positions"]),
        embedding_norm=packer.norm("embeddings.norm", architecture.epsilon),
        projection=None if projection is None else ctypes.pointer(projection),
        layers=layers,
        gelu_coefficients=packer.address(-LOG2_E * np.array(GELU_COEFFICIENTS[architecture.activation], np.float32)),
        distance_bias=packer.distance_bias() if DISTANCE_BIAS in tensors else None,
    )
    vocabulary, max_tokens = len(tensors[WORDS]), len(tensors["embeddings.positions"])
    return NativeWeights(encoder, hidden, vocabulary, max_tokens, packer.arrays)


class _Packer:
    """Makes the C structs of products and norms from named tensors, and keeps the arrays that they point to alive."""

    def __init__(self, tensors: Mapping[str, NDArray[Any]], *, product_bytes: int) -> None:
        self._tensors = tensors
        self.arrays: list[NDArray[Any]] = []
        # One block for all: NumPy asks the kernel to back it with huge pages, which is faster.
        self._free = aligned_bytes(product_bytes)

    def address(self, array: NDArray[Any]) -> int:
        """Returns the address of an array's first element."""
        array = np.ascontiguousarray(array)
        self.arrays.append(array)
        return array.ctypes.data

    def norm(self, name: str, epsilon: float) -> Norm:
        """Returns a layer normalisation."""
        gain, bias = self._tensors[f"{name}.gain"], self._tensors[f"{name}.bias"]
        return Norm(self.address(gain), self.address(bias), epsilon)

    def distance_bias(self) -> int:
        """Returns the address of the bias of distance 0, in a table padded to all lanes."""
        bias = self._tensors[DISTANCE_BIAS]
        lanes = np.zeros((bias.shape[1], MOST_HEADS), np.float32)
        lanes[:, : len(bias)] = LOG2_E * bias.T
        return self.address(lanes) + len(lanes) // 2 * lanes.strides[0]

    def query_key_value(self, layer: str, order: NDArray[np.int64], *, heads: int) -> Product:
        """Returns the product of queries, keys and values, with a lane for each head.

        Keys need no bias, since softmax cancels it. The bias of values is part of the bias of the output.
        """
        weight, scale = self._tensors[f"{layer}.qkv.weight"], self._tensors[f"{layer}.qkv.scale"]
        hidden = len(order)
        columns = np.concatenate([order, order + hidden, order + 2 * hidden])
        bias = np.concatenate([self._tensors[f"{layer}.query.bias"], np.zeros(2 * hidden, np.float32)])
        # Softmax as a power of two: see attention.h.
        factor = np.ones(3 * hidden, np.float32)
        factor[:hidden] = LOG2_E / np.sqrt(hidden // heads)
        return self._product(weight[:, columns], (scale * factor)[columns], (bias * factor)[columns])

    def product(self, name: str, *, rows: NDArray[np.int64] | None = None) -> Product:
        """Returns a product, with its rows in the order of `rows` if that is given."""
        weight = self._tensors[f"{name}.weight"]
        return self._product(
            weight if rows is None else weight[rows], self._tensors[f"{name}.scale"], self._tensors[f"{name}.bias"]
        )

    def _product(self, weight: NDArray[np.int8], scale: NDArray[np.float32], bias: NDArray[np.float32]) -> Product:
        inputs, outputs = weight.shape
        panels = weight.reshape(inputs // 4, 4, outputs // PANEL_COLUMNS, PANEL_COLUMNS).transpose(2, 0, 3, 1)
        return Product(
            inputs,
            outputs,
            self.address(self._aligned(panels)),
            self.address(scale.astype(np.float32)),
            self.address(bias.astype(np.float32)),
            self.address(weight.sum(axis=0, dtype=np.int32).astype(np.float32)),
        )

    def _aligned(self, array: NDArray[np.int8]) -> NDArray[np.int8]:
        """Copies an array to the next cache line of the block for all products."""
        copy = self._free[: array.size].view(np.int8).reshape(array.shape)
        self._free = self._free[-(-array.size // ALIGNMENT) * ALIGNMENT :]
        copy[...] = array
        return copy


def aligned_bytes(count: int) -> NDArray[np.uint8]:
    """Returns `count` bytes that begin at a cache line."""
    raw = np.empty(count + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + count]
