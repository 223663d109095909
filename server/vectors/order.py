"""The order in which a graph's rows lie best: those that are near each other, beside each other.

A search reads a thousand rows and more, and waits for memory most of the time. Where rows are in the order in which
they came, each of them is somewhere else; where neighbours share pages and the caches have them, it waits less (Coleman
et al., "Graph Reordering for Cache-Efficient Near Neighbor Search", NeurIPS 2022). What is found stays the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

DIRECTIONS = 32
"""Principal directions that rows are told apart by: with all 384 they lie no better, and it takes ten times as long."""

SAMPLED_ROWS = 16_384
"""Rows that the directions come from."""

TOGETHER_ROWS = 16
"""Rows that are not told apart any more."""

POWER_STEPS = 4
"""Of the power iteration. The direction need not be exact: another near it splits about as well."""

BLOCK_ROWS = 8192


def order_of(rows: NDArray[Any]) -> NDArray[np.int64]:
    """Returns the indices of rows `[N, dimension]` in the order in which they should lie; the same for the same rows.

    All are split in two halves along the direction in which they differ most, and the halves again. Halves of one depth
    are as long as each other, and are split together.
    """
    with np.errstate(all="ignore"):  # Where numbers overflow, rows may lie anywhere.
        points = _project(rows)
        depth = max(0, int(np.ceil(np.log2(max(len(rows), 1) / TOGETHER_ROWS))))
        length = -(-len(rows) // 2**depth)
        # So that all are as long, the last row stands for those that are missing. Only its first one counts.
        indices = np.minimum(np.arange(length * 2**depth), len(rows) - 1)
        for level in range(depth):
            halves = indices.reshape(2**level, -1)
            along = _along_longest(points[halves])
            split = np.argpartition(along, along.shape[1] // 2, axis=1)
            indices = np.take_along_axis(halves, split, axis=1).reshape(-1)
    _, first = np.unique(indices, return_index=True)
    ordered: NDArray[np.int64] = indices[np.sort(first)]
    return ordered


def _project(rows: NDArray[Any]) -> NDArray[np.float32]:
    """Returns rows along the directions in which a sample of them differs most, `[N, DIRECTIONS]`."""
    random = np.random.default_rng(0)
    chosen = np.sort(random.choice(len(rows), min(len(rows), SAMPLED_ROWS), replace=False))
    sample = np.nan_to_num(rows[chosen].astype(np.float64), posinf=0, neginf=0)
    sample -= sample.mean(axis=0)
    sample /= max(float(np.abs(sample).max(initial=0)), float(np.finfo(np.float32).tiny))
    _, directions = np.linalg.eigh(sample.T @ sample)
    chosen_directions = directions[:, ::-1][:, :DIRECTIONS].astype(np.float32)
    points = np.empty((len(rows), chosen_directions.shape[1]), np.float32)
    for start in range(0, len(rows), BLOCK_ROWS):
        points[start : start + BLOCK_ROWS] = rows[start : start + BLOCK_ROWS].astype(np.float32) @ chosen_directions
    return points


def _along_longest(sets: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns the points of each set `[S, N, D]` along the direction in which that set differs most, `[S, N]`."""
    sets = sets - sets.mean(axis=1, keepdims=True)
    turned = sets.transpose(0, 2, 1)
    direction = np.random.default_rng(0).standard_normal((1, sets.shape[2], 1)).astype(np.float32)
    for _ in range(POWER_STEPS):
        direction = turned @ (sets @ direction)
        lengths = np.linalg.norm(direction, axis=1, keepdims=True)
        direction = direction / np.maximum(lengths, np.finfo(np.float32).tiny)
    along: NDArray[np.float32] = (sets @ direction)[:, :, 0]
    return along
