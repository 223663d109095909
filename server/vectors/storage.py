"""Storage of vectors, in 4, 2 or 1 bytes per number.

`f32` stores vectors unchanged. `f16` keeps 11 significant bits of each number. `i8` scales each vector so that its
largest number becomes 127, and rounds. That keeps the direction, which is enough for a cosine but not for an inner
product. Only the graph uses i8; scores are then computed from rows in f16.
"""

from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import DTypeLike, NDArray

from server.errors import SettingsError
from server.similarity import Similarity

Storage = Literal["f32", "f16", "i8"]

STORAGES: tuple[Storage, ...] = get_args(Storage)

METRIC_OF: dict[Storage, Literal["ip", "cos"]] = {"f32": "ip", "f16": "ip", "i8": "cos"}
"""The metric of a graph. Vectors compared by cosine already have unit length, except in i8, where lengths differ."""

I8_LARGEST = 127


def check_storage(storage: Storage, similarity: Similarity) -> None:
    """Raises SettingsError if vectors in this storage cannot be compared by this similarity."""
    if storage == "i8" and similarity != "cosine":
        raise SettingsError(
            "--index-storage i8 keeps only the directions of vectors, but this bundle compares them by dot product, "
            "which needs lengths: use f16 or f32"
        )


def row_dtype(storage: Storage) -> DTypeLike:
    """Returns the type of the rows from which scores are computed."""
    return np.float32 if storage == "f32" else np.float16


def to_rows(vectors: NDArray[np.float32], similarity: Similarity, storage: Storage) -> NDArray[Any]:
    """Returns the rows `[N, dimension]` of vectors for scoring, where each similarity is a dot product.

    For a cosine the rows have unit length. Numbers beyond the range of f16 become its largest number.
    """
    if similarity == "cosine":
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        vectors = vectors / np.maximum(lengths, np.finfo(np.float32).tiny)
    if storage != "f32":
        largest = np.finfo(np.float16).max
        vectors = np.clip(vectors, -largest, largest)
    return np.ascontiguousarray(vectors, dtype=row_dtype(storage))


def to_graph(rows: NDArray[Any], storage: Storage) -> NDArray[Any]:
    """Returns rows `[N, dimension]` as the graph stores them."""
    if storage != "i8":
        return rows
    vectors = rows.astype(np.float32)
    magnitudes = np.abs(vectors).max(axis=1, keepdims=True)
    scale = I8_LARGEST / np.maximum(magnitudes, np.finfo(np.float32).tiny * I8_LARGEST)
    kept: NDArray[Any] = np.rint(vectors * scale).astype(np.int8)
    return kept
