"""The models that the native encoder can run: post-norm encoders, such as BERT, with all products in INT8.

The metadata of the weights' file describes the architecture. The tensors have the names used here.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

ARCHITECTURE = "architecture"
"""The entry of the metadata that holds an `Architecture` in JSON. Without it, the library cannot run the model."""

MOST_HEADS = 16
"""Each head is a lane of a vector register (attention.h)."""

PANEL_COLUMNS = 32
"""As in product.h."""

WORDS = "embeddings.words.weight"

DISTANCE_BIAS = "attention.distance_bias"
"""Name of the attention bias `[heads, distances]`, from the farthest key before a query to the farthest after it."""


class Architecture(msgspec.Struct, frozen=True, kw_only=True):
    """The computation on the weights, as the metadata of their file describes it."""

    heads: Annotated[int, msgspec.Meta(ge=1)]
    layers: Annotated[int, msgspec.Meta(ge=1)]
    epsilon: float
    activation: Literal["gelu", "tanh-gelu"]
    pooling: Literal["mean", "cls", "lasttoken"]
    normalise: bool


def can_lay_out(architecture: Architecture, tensors: Mapping[str, NDArray[Any]]) -> bool:
    """Returns whether a model's shapes fit the library's vectors and lanes."""
    _, embedding = tensors[WORDS].shape
    hidden, inner = tensors["layers.0.intermediate.weight"].shape
    depth = hidden // architecture.heads
    return bool(
        architecture.heads <= MOST_HEADS
        and depth % 4 == 0
        and all(width % PANEL_COLUMNS == 0 for width in (embedding, hidden, inner))
    )


def check_tensors(architecture: Architecture, tensors: Mapping[str, NDArray[Any]]) -> None:
    """Raises KeyError if a tensor is missing, ValueError if one has the wrong shape or type."""
    vocabulary, embedding = tensors[WORDS].shape
    places = len(tensors["embeddings.positions"])
    hidden, inner = tensors["layers.0.intermediate.weight"].shape
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.words.scale": (vocabulary, 1),
        "embeddings.positions": (places, embedding),
        "embeddings.norm.gain": (embedding,),
        "embeddings.norm.bias": (embedding,),
    }
    projected = embedding != hidden or "projection.weight" in tensors
    products = {"projection": (embedding, hidden)} if projected else {}
    for number in range(architecture.layers):
        layer = f"layers.{number}"
        if f"{layer}.qkv.weight" not in tensors:  # Stops at the first missing layer, however many are claimed.
            raise KeyError(f"{layer}.qkv.weight")
        products[f"{layer}.attention_output"] = (hidden, hidden)
        products[f"{layer}.intermediate"] = (hidden, inner)
        products[f"{layer}.output"] = (inner, hidden)
        shapes[f"{layer}.qkv.scale"] = (3 * hidden,)
        shapes[f"{layer}.query.bias"] = (hidden,)
        for norm in ("attention_norm", "output_norm"):
            shapes |= {f"{layer}.{norm}.gain": (hidden,), f"{layer}.{norm}.bias": (hidden,)}
    for name, (_, outputs) in products.items():
        shapes |= {f"{name}.scale": (outputs,), f"{name}.bias": (outputs,)}
    if DISTANCE_BIAS in tensors:
        shapes[DISTANCE_BIAS] = (architecture.heads, 2 * places - 1)
    weights = {f"{name}.weight": shape for name, shape in products.items()}
    weights |= {f"layers.{number}.qkv.weight": (hidden, 3 * hidden) for number in range(architecture.layers)}
    weights[WORDS] = (vocabulary, embedding)
    for wanted, dtype in ((shapes, np.float32), (weights, np.int8)):
        for name, shape in wanted.items():
            if tensors[name].shape != shape or tensors[name].dtype != dtype:
                raise ValueError(f"{name} is {tensors[name].dtype} {tensors[name].shape}, not {dtype.__name__} {shape}")
