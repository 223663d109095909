"""Measures whether a text's vector depends on the other texts of its batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from export.quality.cores import encode_batches
from server.encoding.golden import cosines

BATCH_TEXTS = (2, 3, 8, 16, 40, 128)
"""Sizes of batches, in texts. For each size, all texts are shuffled and encoded once."""

Text = TypeVar("Text")


class Invariance(msgspec.Struct, frozen=True, kw_only=True):
    """Vectors of texts encoded alone, compared with vectors of the same texts in batches.

    `identical_share` is the share of (text, batch) pairs whose vectors are bit-identical.
    """

    texts: int
    worst_cosine: float
    identical_share: float


def invariance(encode: Callable[[Sequence[Text]], NDArray[np.float32]], texts: Sequence[Text]) -> Invariance:
    """Encodes texts alone, and shuffled in batches of mixed sizes; `encode` returns `[N, dimension]`."""
    random = np.random.default_rng(0)
    batches = [[row] for row in range(len(texts))]
    for size in BATCH_TEXTS:
        order = random.permutation(len(texts)).tolist()
        batches += [order[start : start + size] for start in range(0, len(order), size)]
    vectors = encode_batches(encode, [[texts[row] for row in batch] for batch in batches])
    alone, together = vectors[: len(texts)], vectors[len(texts) :]
    expected = alone[np.concatenate(batches[len(texts) :])]
    same = (together.view(np.uint32) == expected.view(np.uint32)).all(axis=1)
    values = np.nan_to_num(cosines(together[~same], expected[~same]), nan=-1.0)
    return Invariance(
        texts=len(texts),
        worst_cosine=round(float(values.min(initial=1.0)), 7),
        identical_share=round(float(same.mean()), 5),
    )
