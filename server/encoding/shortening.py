"""The first numbers of vectors (Kusupati et al. 2022, "Matryoshka Representation Learning"), and unit lengths.

A model that was trained for it keeps most of its quality with them. The graph and the native encoder compute whole
vectors; the manifest's `dimension` says how many numbers the bundle uses.
"""

import numpy as np
from numpy.typing import NDArray


def shortened(vectors: NDArray[np.float32], dimension: int, *, unit_length: bool) -> NDArray[np.float32]:
    """Returns the first `dimension` numbers of vectors `[N, D]`, at unit length if asked; unchanged if they are all.

    Each row of the result is bit-identical whatever the other rows are.
    """
    if vectors.shape[1] == dimension:
        return vectors
    first = vectors[:, :dimension]
    return at_unit_length(first) if unit_length else np.ascontiguousarray(first)


def at_unit_length(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns vectors `[N, D]` divided by their lengths; zero stays zero. Each row depends on itself only."""
    lengths = np.sqrt(np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64))
    result: NDArray[np.float32] = (vectors / np.maximum(lengths, np.finfo(np.float32).tiny)[:, None]).astype(np.float32)
    return result
