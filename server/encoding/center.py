"""The center of a model's vectors, a share of their mean, which is subtracted from each.

Some models, such as E5, map all texts into a narrow cone: unrelated texts have high cosines too. The center says
nothing about a text; without it, differences have more weight (Mu and Viswanath, ICLR 2018, "All-but-the-Top").
"""

import numpy as np
from numpy.typing import NDArray

from server.encoding.shortening import at_unit_length

CENTER_FILE = "center.npy"
"""The center of a tower's vectors, float32 `[dimension]`. Without this file the vectors are not centered."""


def centered(vectors: NDArray[np.float32], center: NDArray[np.float32] | None) -> NDArray[np.float32]:
    """Returns the vectors `[N, dimension]` minus the center `[dimension]`, at unit length; unchanged if it is None.

    Each row of the result is bit-identical whatever the other rows are.
    """
    if center is None:
        return vectors
    return at_unit_length(vectors - center)
