"""Encodes on all cores; an encoder uses one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from server.cpus import usable_cpus
from server.encoding.passages import Text

Encode = Callable[[Sequence[Text]], NDArray[np.float32]]

T = TypeVar("T")

SHARE_TEXTS = 64
"""Texts in a batch of `encode_all`."""


def encode_batches(
    encode: Callable[[Sequence[T]], NDArray[np.float32]], batches: Iterable[Sequence[T]]
) -> NDArray[np.float32]:
    """Returns the vectors `[N, dimension]` of the N texts of some batches, without changing the batches."""
    with ThreadPoolExecutor(usable_cpus()) as pool:
        return np.concatenate(list(pool.map(encode, batches)))


def encode_all(encode: Encode, texts: Sequence[Text]) -> NDArray[np.float32]:
    """Returns the vectors `[N, dimension]` of one or more texts, in batches of similar length."""
    order = sorted(range(len(texts)), key=lambda row: len(texts[row][0]))
    shares = [order[start : start + SHARE_TEXTS] for start in range(0, len(order), SHARE_TEXTS)]
    found = encode_batches(encode, [[texts[row] for row in share] for share in shares])
    vectors = np.empty_like(found)
    vectors[order] = found
    return vectors
