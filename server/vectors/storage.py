"""How vectors are kept: in 4, 2 or 1 bytes a number.

`f32` keeps them as they are. `f16` keeps 11 bits of each number. `i8` scales each
vector so that its largest number becomes 127 and rounds: what is left is its direction
in whole numbers, which is all that a cosine looks at, and no inner product.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import DTypeLike, NDArray

from server.errors import SettingsError
from server.similarity import Similarity

Storage = Literal["f32", "f16", "i8"]

STORAGES: tuple[Storage, ...] = get_args(Storage)

DTYPE_OF: dict[Storage, DTypeLike] = {"f32": np.float32, "f16": np.float16, "i8": np.int8}

I8_LARGEST = 127


def check_storage(storage: Storage, similarity: Similarity) -> None:
    """Raises SettingsError if vectors that are kept so cannot be compared so."""
    if storage == "i8" and similarity != "cosine":
        raise SettingsError(
            "--index-storage i8 keeps only the directions of vectors, and this bundle compares them by dot product, "
            "in which lengths matter: use f16 or f32"
        )


def to_storage(vectors: NDArray[np.float32], storage: Storage) -> NDArray[Any]:
    """Returns vectors `[N, dimension]` as they are kept. What is too large for f16 becomes its largest number."""
    if storage == "f32":
        return vectors
    kept: NDArray[Any]
    if storage == "f16":
        largest = np.finfo(np.float16).max
        kept = np.clip(vectors, -largest, largest).astype(np.float16)
    else:
        magnitudes = np.abs(vectors).max(axis=1, keepdims=True)
        scale = I8_LARGEST / np.maximum(magnitudes, np.finfo(np.float32).tiny * I8_LARGEST)
        kept = np.rint(vectors * scale).astype(np.int8)
    return kept
