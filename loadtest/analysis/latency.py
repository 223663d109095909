"""A distribution of durations: an HdrHistogram that counts arrays."""

from __future__ import annotations

import math

import numpy as np
from hdrh.histogram import HdrHistogram
from numpy.typing import NDArray

LONGEST_NS = 3_600_000_000_000
DIGITS = 3
_SUB_BUCKET_BITS = 11
"""HdrHistogram keeps the 11 highest bits of a value, for 3 significant digits."""

SPECTRUM_TICKS = 5
"""Percentiles for each halving of the distance to 100 %, as in HdrHistogram's own plots."""


def rank_of(percent: float, count: int) -> int:
    """Returns the rank, from 1, of the percentile among `count` ascending values (nearest rank)."""
    return max(1, math.ceil(percent * count / 100 - 1e-9))


class Latencies:
    """Durations in nanoseconds, to three significant digits (0.1 %).

    Source: http://hdrhistogram.org; the mapping of values to counts is the library's.
    """

    def __init__(self) -> None:
        self._counts: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self._sum_ns = 0.0
        self._made: HdrHistogram | None = None

    def add(self, nanoseconds: NDArray[np.int64]) -> None:
        """Counts durations, clipped to the range from one nanosecond to one hour."""
        if not len(nanoseconds):
            return
        clipped = np.clip(nanoseconds, 1, LONGEST_NS)
        self._sum_ns += float(clipped.sum())
        # The library records one value at a time, so values that share its bucket are counted together first. The
        # highest bits of a value and the number of bits below them identify its bucket.
        shift = np.maximum(np.frexp(clipped.astype(np.float64))[1] - _SUB_BUCKET_BITS, 0)
        self._merge(np.bincount((shift << (_SUB_BUCKET_BITS - 1)) + (clipped >> shift)))

    def merge(self, other: Latencies) -> None:
        """Adds the counts of another distribution."""
        self._merge(other._counts)
        self._sum_ns += other._sum_ns

    def _merge(self, more: NDArray[np.int64]) -> None:
        longer, shorter = sorted((self._counts, more), key=len, reverse=True)
        self._counts, self._made = longer.copy(), None
        self._counts[: len(shorter)] += shorter

    def add_seconds(self, seconds: NDArray[np.floating]) -> None:
        """Counts durations in seconds; NaN is skipped."""
        known = seconds[~np.isnan(seconds)]
        self.add(np.rint(known.astype(np.float64) * 1e9).astype(np.int64))

    @property
    def count(self) -> int:
        """Number of durations."""
        return int(self._counts.sum())

    @property
    def _histogram(self) -> HdrHistogram:
        """The library's histogram of all counted durations."""
        if self._made is None:
            self._made = HdrHistogram(1, LONGEST_NS, DIGITS)
            half = 1 << (_SUB_BUCKET_BITS - 1)
            for index in np.flatnonzero(self._counts).tolist():
                shift = max(0, index // half - 1)
                self._made.record_value((index - shift * half) << shift, int(self._counts[index]))
        return self._made

    def percentile(self, percent: float) -> float:
        """Returns a percentile in seconds; NaN if nothing was counted. 100 is the longest duration.

        The result is the shortest duration that at least this percentage of all durations do not exceed (nearest
        rank). The library would round the rank to the nearest number, which may be lower.
        """
        if not self.count:
            return math.nan
        rank = rank_of(percent, self.count)
        return float(self._histogram.get_value_at_percentile(rank / self.count * 100)) / 1e9

    @property
    def mean(self) -> float:
        """Mean in seconds; NaN if nothing was counted."""
        return self._sum_ns / self.count / 1e9 if self.count else math.nan

    def spectrum(self) -> list[tuple[float, float, int]]:
        """Returns (percentile, value in seconds, count up to it), ever closer to 100 %."""
        points = []
        for each in self._histogram.get_percentile_iterator(SPECTRUM_TICKS):
            seconds = each.value_iterated_to / 1e9
            points.append((each.percentile_level_iterated_to, seconds, each.total_count_to_this_value))
        return points

    def encoded(self) -> str:
        """Returns the histogram in HdrHistogram's own compressed format (V2, base64), for other tools."""
        encoded: bytes | str = self._histogram.encode()
        return encoded.decode() if isinstance(encoded, bytes) else encoded
