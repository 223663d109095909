"""The cosines of vectors to those of the original model."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from server.encoding.golden import cosines


class Closeness(msgspec.Struct, frozen=True, kw_only=True):
    """Cosines to the fp32 vectors of the same texts: their mean, lowest, and first percentile."""

    texts: int
    cosine_mean: float
    cosine_p1: float
    cosine_min: float


def closeness(vectors: NDArray[np.float32], reference: NDArray[np.float32]) -> Closeness:
    """Compares the rows of two `[N, dimension]` arrays. A cosine that is NaN counts as -1."""
    values = np.nan_to_num(cosines(vectors, reference), nan=-1.0)
    return Closeness(
        texts=len(values),
        cosine_mean=round(float(values.mean(dtype=np.float64)), 5),
        cosine_p1=round(float(np.percentile(values, 1)), 5),
        cosine_min=round(float(values.min()), 5),
    )
