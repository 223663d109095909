"""One reading of the metrics, and the difference of two: rates, shares and percentiles between them."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping
from typing import NamedTuple, Self

from prometheus_client import CollectorRegistry

Labels = tuple[str, ...]
"""The values of a series' labels, in the order in which the metric declares them; a bucket's bound comes last."""


class Reading(NamedTuple):
    """The values of all series at one moment, by the sample's name and the values of its labels."""

    at: float
    """Value of `time.monotonic()`."""
    values: Mapping[str, Mapping[Labels, float]]
    label_names: Mapping[str, Labels]

    @classmethod
    def of(cls, registry: CollectorRegistry) -> Self:
        """Reads a registry, as a scrape does."""
        values: dict[str, dict[Labels, float]] = {}
        names: dict[str, Labels] = {}
        for metric in registry.collect():
            for sample in metric.samples:
                series = values.get(sample.name)
                if series is None:
                    series = values[sample.name] = {}
                    names[sample.name] = tuple(sample.labels)
                series[tuple(sample.labels.values())] = sample.value
        return cls(time.monotonic(), values, names)

    def value(self, name: str, *labels: str) -> float:
        """Returns the value of a series; NaN if there is none."""
        return self.values.get(name, {}).get(labels, math.nan)

    def info(self, name: str) -> dict[str, str]:
        """Returns the labels of an info metric, which has at most one series."""
        for labels in self.values.get(name, {}):
            return dict(zip(self.label_names[name], labels, strict=True))
        return {}


class Window(NamedTuple):
    """The time between two readings."""

    first: Reading
    last: Reading

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.last.at - self.first.at

    def increase(self, name: str, *labels: str) -> float:
        """Returns by how much a counter has grown."""
        return self.last.values[name].get(labels, 0.0) - self.first.values[name].get(labels, 0.0)

    def increases(self, name: str) -> dict[Labels, float]:
        """Returns by how much each series of a counter has grown."""
        before = self.first.values.get(name, {})
        return {labels: value - before.get(labels, 0.0) for labels, value in self.last.values.get(name, {}).items()}

    def rate(self, name: str, *labels: str) -> float:
        """Returns the growth of a counter per second."""
        return self.increase(name, *labels) / self.seconds

    def mean(self, name: str, *labels: str) -> float | None:
        """Returns the mean of a histogram's observations; None if there were none."""
        count = self.increase(f"{name}_count", *labels)
        return self.increase(f"{name}_sum", *labels) / count if count else None

    def buckets(self, name: str, *labels: str) -> list[tuple[float, float]]:
        """Returns a histogram's bounds and cumulative counts of the window, the smallest bound first."""
        found = [
            (float(key[-1]), count) for key, count in self.increases(f"{name}_bucket").items() if key[:-1] == labels
        ]
        return sorted(found)

    def quantile(self, share: float, name: str, *labels: str) -> float | None:
        """Returns a quantile of a histogram's observations, as `histogram_quantile` of Prometheus does."""
        return quantile(share, self.buckets(name, *labels))


def quantile(share: float, buckets: Iterable[tuple[float, float]]) -> float | None:
    """Returns the quantile of cumulative buckets (bound, count), the smallest bound first; None if they are empty.

    It interpolates within the bucket. Above the last finite bound, it returns that bound.
    """
    rows = list(buckets)
    if not rows or not rows[-1][1]:
        return None
    rank = share * rows[-1][1]
    lower, below = 0.0, 0.0
    for bound, count in rows:
        if count >= rank:
            if math.isinf(bound):
                return lower
            return lower + (bound - lower) * (rank - below) / (count - below) if count > below else bound
        lower, below = bound, count
    return lower
