"""The certainty of a figure: bootstrap intervals, paired tests, and a correction for several tests.

All use the same draws for all systems, with a fixed seed, so that a system without difference has none in any draw.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

SAMPLES = 2_000
"""Draws of an interval."""

DRAWS = 10_000
"""Draws of a test."""

DRAWS_AT_ONCE = 500
"""Draws whose arrays are in memory together."""

CONFIDENCE = 0.95
SEED = 0

Floats = NDArray[np.float64]


def intervals(values: Floats) -> Floats:
    """Returns for each row of `[rows, queries]` the bounds `[rows, 2]` of the 95 % interval of its mean.

    They are percentiles of the means of samples of the queries, drawn with replacement. A single query has no interval:
    its bounds are NaN.
    """
    queries = values.shape[1]
    if queries < 2:
        return np.full((len(values), 2), np.nan)
    random = np.random.default_rng(SEED)
    shares = np.full(queries, 1 / queries)
    means = [random.multinomial(queries, shares, size) @ values.T / queries for size in _portions(SAMPLES)]
    tail = 50 * (1 - CONFIDENCE)
    found: Floats = np.percentile(np.concatenate(means), (tail, 100 - tail), axis=0).T
    return found


def p_values(differences: Floats) -> Floats:
    """Returns for each row of differences `[rows, queries]` the p-value of the paired randomization test, two-sided.

    If two systems are equally good, each difference is as likely with the other sign. The p-value is the share of draws
    of the signs whose mean is as far from 0 as the measured one (Smucker et al. 2007), which counts as a draw itself.
    """
    random = np.random.default_rng(SEED)
    some = np.flatnonzero(differences.any(axis=0))  # The signs of other queries change nothing.
    sums = differences[:, some]
    measured = np.abs(sums.sum(axis=1)) - 1e-9
    as_far = np.ones(len(differences))
    for size in _portions(DRAWS):
        signs = random.integers(0, 2, (size, len(some)), dtype=np.int8) * 2.0 - 1
        as_far += (np.abs(signs @ sums.T) >= measured).sum(axis=0)
    found: Floats = as_far / (DRAWS + 1)
    return found


def corrected(values: Sequence[float]) -> list[float]:
    """Returns p-values corrected for their number (Holm 1979), in the same order."""
    order = sorted(range(len(values)), key=lambda place: values[place])
    found, largest = [0.0] * len(values), 0.0
    for rank, place in enumerate(order):
        largest = max(largest, min(1.0, values[place] * (len(values) - rank)))
        found[place] = largest
    return found


def _portions(draws: int) -> Iterator[int]:
    for first in range(0, draws, DRAWS_AT_ONCE):
        yield min(DRAWS_AT_ONCE, draws - first)
