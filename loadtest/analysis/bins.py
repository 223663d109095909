"""Latencies counted in bins of equal ratio: arrays that can be added, sliced and resampled.

Use `latency.Latencies` (HdrHistogram) for one exact distribution, and bins for the many histograms of a timeline.
A bin is 0.5 % wide, from one microsecond to an hour, so a percentile is off by 0.25 % at most.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

WIDTH = math.log(1.005)
SHORTEST_NS = 1_000
LONGEST_NS = 3_600_000_000_000
COUNT = math.ceil(math.log(LONGEST_NS / SHORTEST_NS) / WIDTH) + 1

Counts = NDArray[Any]


def bins_of(nanoseconds: NDArray[np.int64]) -> NDArray[np.int64]:
    """Returns the bin of each duration; durations out of range go to the first or the last bin."""
    clipped = np.clip(nanoseconds, SHORTEST_NS, LONGEST_NS)
    return (np.log(clipped / SHORTEST_NS) / WIDTH).astype(np.int64)


def percentiles(counts: Counts, percents: list[float]) -> NDArray[np.float64]:
    """Returns percentiles in seconds, `[..., len(percents)]`; NaN where nothing is counted.

    Args:
        counts: Durations by bin, `[..., COUNT]`.
        percents: From 0 to 100.
    """
    cumulative = np.cumsum(counts, axis=-1)
    total = cumulative[..., -1]
    result = np.full((*total.shape, len(percents)), np.nan)
    for column, percent in enumerate(percents):
        # The rank, as in `latency.rank_of`. Dividing by 100 first would round the rank of p99.9 of 1000 up to 1000.
        wanted = np.maximum(np.ceil(total * percent / 100 - 1e-9), 1)
        index = np.argmax(cumulative >= wanted[..., None], axis=-1)
        result[..., column] = np.where(total > 0, SHORTEST_NS * np.exp((index + 0.5) * WIDTH) / 1e9, np.nan)
    return result
