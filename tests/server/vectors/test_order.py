from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from server.vectors.order import TOGETHER_ROWS, order_of


@settings(max_examples=60)
@given(
    count=st.integers(1, 700),
    dimension=st.integers(1, 48),
    kinds=st.integers(1, 700),
    scale=st.sampled_from([0.0, 1e-30, 1.0, 3e38]),
    dtype=st.sampled_from([np.float32, np.float16, np.int8]),
)
def test_every_row_comes_once_and_the_same_rows_come_alike(
    count: int, dimension: int, kinds: int, scale: float, dtype: type[np.generic]
) -> None:
    random = np.random.default_rng(count)
    with np.errstate(all="ignore"):
        rows: NDArray[Any] = (scale * random.standard_normal((kinds, dimension))).astype(dtype)[
            random.integers(0, kinds, count)
        ]
    order = order_of(rows)
    assert sorted(order.tolist()) == list(range(count))
    assert np.array_equal(order, order_of(rows))


@pytest.mark.parametrize("dimension", [8, 384])
def test_rows_of_a_cluster_come_together(dimension: int) -> None:
    random = np.random.default_rng(0)
    centres = random.standard_normal((128, dimension))
    clusters = random.permutation(np.repeat(np.arange(128), 2 * TOGETHER_ROWS))
    rows = (centres[clusters] + 0.05 * random.standard_normal((len(clusters), dimension))).astype(np.float16)
    ordered = clusters[order_of(rows)]
    changes = np.count_nonzero(ordered[1:] != ordered[:-1])
    assert changes < 0.15 * len(clusters), "all but a few have one of their own beside them"
    assert np.count_nonzero(clusters[1:] != clusters[:-1]) > 0.95 * len(clusters)
