"""The center of a model's vectors: what all of them share is subtracted.

Some models (E5, for one) put all texts into a narrow cone: two unrelated texts have a cosine of .8. Without the
center, which says nothing about a text, differences count for more (Mu and Viswanath, ICLR 2018, "All-but-the-Top").
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from server.errors import BundleError, first_line

CENTER_FILE = "center.npy"
"""The center of a tower's vectors, float32 `[dimension]`. A bundle without it is not centered."""


def centered(vectors: NDArray[np.float32], center: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns the vectors `[N, dimension]` minus the center `[dimension]`, at unit length.

    A row of the result depends on its own vector only, to the last bit.
    """
    moved = vectors - center
    lengths = np.sqrt(np.einsum("nd,nd->n", moved, moved, dtype=np.float64))
    result: NDArray[np.float32] = (moved / np.maximum(lengths, np.finfo(np.float32).tiny)[:, None]).astype(np.float32)
    return result


def read_center(path: Path, *, dimension: int) -> NDArray[np.float32]:
    """Reads the center of a tower.

    Raises:
        BundleError: The file is not a center of this dimension.
    """
    try:
        center = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise BundleError(f"{path} cannot be read: {first_line(error)}; export the model again") from None
    if center.dtype != np.float32 or center.shape != (dimension,) or not np.isfinite(center).all():
        raise BundleError(f"{path} is not a center of {dimension} dimensions; export the model again")
    return np.asarray(center)
