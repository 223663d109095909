"""The center of a model's vectors: what all of them share is subtracted.

Some models (E5, for one) put all texts into a narrow cone: two unrelated texts have a cosine of .8. Without the
center, which says nothing about a text, differences count for more (Mu and Viswanath, ICLR 2018, "All-but-the-Top").
"""

import numpy as np
from numpy.typing import NDArray

CENTER_FILE = "center.npy"
"""The center of a tower's vectors, float32 `[dimension]`. A bundle without it is not centered."""


def centered(vectors: NDArray[np.float32], center: NDArray[np.float32] | None) -> NDArray[np.float32]:
    """Returns the vectors `[N, dimension]` minus the center `[dimension]`, at unit length; as they are without one.

    A row of the result depends on its own vector only, to the last bit.
    """
    if center is None:
        return vectors
    moved = vectors - center
    lengths = np.sqrt(np.einsum("nd,nd->n", moved, moved, dtype=np.float64))
    result: NDArray[np.float32] = (moved / np.maximum(lengths, np.finfo(np.float32).tiny)[:, None]).astype(np.float32)
    return result
