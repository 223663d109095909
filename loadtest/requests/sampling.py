"""Chooses the query, and the call of a mix, of request number n.

The choice depends only on the seed and the number, so the worker processes agree without communication.
"""

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

Order = Literal["sequential", "uniform", "zipf"]
ORDERS: tuple[Order, ...] = get_args(Order)

BLOCK = 4096


class Draw:
    """Random access to an endless sequence of draws: index `i` has a probability in proportion to its weight."""

    def __init__(self, weights: Sequence[float] | NDArray[np.float64], *, seed: int, stream: int) -> None:
        cumulative = np.cumsum(np.asarray(weights, dtype=np.float64))
        self._cumulative = cumulative / cumulative[-1]
        self._seed = (seed, stream)
        self._block_number = -1
        self._block: list[int] = []

    def __getitem__(self, position: int) -> int:
        """Returns the index drawn at a position of the sequence."""
        number, offset = divmod(position, BLOCK)
        if number != self._block_number:
            uniform = np.random.default_rng((*self._seed, number)).random(BLOCK)
            last = len(self._cumulative) - 1
            self._block = np.minimum(np.searchsorted(self._cumulative, uniform, side="right"), last).tolist()
            self._block_number = number
        return self._block[offset]


class Sampler:
    """Random access to the sequence of queries.

    Args:
        order: `sequential` repeats the file. `uniform` draws each query with the same probability. `zipf` draws the
            query of rank r in proportion to `r ** -exponent`, as real traffic does; ranks are shuffled by the seed.
        count: Number of queries.
        seed: Seed of the draws.
        exponent: Zipf's exponent.
    """

    def __init__(self, order: Order, count: int, *, seed: int, exponent: float = 1.0) -> None:
        self._count = count
        self._draw: Draw | None = None
        if order == "uniform":
            self._draw = Draw(np.ones(count), seed=seed, stream=0)
        elif order == "zipf":
            weights = np.arange(1, count + 1, dtype=np.float64) ** -exponent
            np.random.default_rng((seed, 1)).shuffle(weights)
            self._draw = Draw(weights, seed=seed, stream=2)

    def __getitem__(self, position: int) -> int:
        """Returns the query's number at a position of the sequence."""
        return position % self._count if self._draw is None else self._draw[position]
