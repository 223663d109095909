"""A run as an OpenMetrics file, second by second: `promtool tsdb create-blocks-from openmetrics` loads it.

Counters grow from 0 at the start of the run, as those of a server. The other samples are at the ends of its seconds.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric, SummaryMetricFamily
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from loadtest.analysis import bins
from loadtest.analysis.summary import Summary
from loadtest.codes import OUTCOMES
from loadtest.errors import UsageError
from loadtest.reports.title import methods_of, targets_of
from loadtest.stages import STAGES

BOUNDS_SECONDS = tuple(digit * 10.0**power for power in range(-4, 3) for digit in (1, 2.5, 5))
"""Upper bounds of the histograms' buckets."""


def openmetrics_report(summary: Summary) -> str:
    """Returns the timeline of a run, or of runs at the same time, in OpenMetrics' text format.

    Raises:
        UsageError: The runs were not at the same time: their seconds would be added up.
    """
    starts = [run.header["started"] + run.header["plan"]["warm_up_seconds"] for run in summary.runs]
    if max(starts) - min(starts) > summary.timeline.planned_end:
        raise UsageError("--format openmetrics takes one run, or runs at the same time: name one results file")
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Timeline(summary, min(starts)))
    text: bytes = generate_latest(registry)  # type: ignore[no-untyped-call]
    return text.decode()


class _Timeline(Collector):
    """The metrics of a summary; `start` is the Unix time of its first second."""

    def __init__(self, summary: Summary, start: float) -> None:
        self._timeline = summary.timeline
        self._labels = {"method": methods_of(summary.runs), "target": targets_of(summary.runs)}
        self._times = [start + second for second in range(len(summary.timeline) + 1)]

    def collect(self) -> Iterator[Metric]:
        timeline = self._timeline
        requests = CounterMetricFamily(
            "chaja_loadtest_requests", "Requests sent, by outcome.", labels=self._names("outcome")
        )
        for code in np.flatnonzero(timeline.codes.any(axis=0)):
            self._count(requests, timeline.codes[:, code], OUTCOMES[code])
        yield requests
        dropped = CounterMetricFamily(
            "chaja_loadtest_dropped_requests", "Requests planned but not sent.", labels=self._names()
        )
        self._count(dropped, timeline.dropped)
        yield dropped
        said = "Latency of successes from the planned time."
        yield self._histogram("chaja_loadtest_latency_seconds", said, timeline.latency)
        said = "Service time of successes, from the send."
        yield self._histogram("chaja_loadtest_service_seconds", said, timeline.service)
        if timeline.staged.any():
            said = "The server's time in each stage."
            stages = SummaryMetricFamily("chaja_loadtest_stage_seconds", said, labels=self._names("stage"))
            counts = _grown(timeline.staged)
            for column, stage in enumerate(STAGES):
                sums = _grown(timeline.stage_sums[:, column])
                for count, total, time in zip(counts, sums, self._times, strict=True):
                    stages.add_metric(self._values(stage), int(count), float(total), timestamp=time)
            yield stages

    def _names(self, *more: str) -> list[str]:
        """Returns the names of the labels of every series, and those of some."""
        return [*self._labels, *more]

    def _values(self, *more: str) -> list[str]:
        return [*self._labels.values(), *more]

    def _count(self, family: CounterMetricFamily, counts: NDArray[np.int64], *labels: str) -> None:
        for total, time in zip(_grown(counts), self._times, strict=True):
            family.add_metric(self._values(*labels), float(total), timestamp=time)

    def _histogram(self, name: str, documentation: str, counts: NDArray[np.int64]) -> HistogramMetricFamily:
        """Returns the growing histogram of counts by second and bin, `[seconds, bins.COUNT]`."""
        family = HistogramMetricFamily(name, documentation, labels=self._names())
        middles = bins.SHORTEST_NS * np.exp((np.arange(bins.COUNT) + 0.5) * bins.WIDTH) / 1e9
        within = np.cumsum(counts, axis=1)[:, np.searchsorted(middles, BOUNDS_SECONDS, side="right") - 1]
        sums, totals = _grown(counts @ middles), _grown(counts.sum(axis=1))
        rows: Iterable[tuple[NDArray[np.int64], int, float, float]]
        rows = zip(_grown(within), totals, sums, self._times, strict=True)
        for buckets, count, total, time in rows:
            named = [(f"{bound:g}", float(each)) for bound, each in zip(BOUNDS_SECONDS, buckets, strict=True)]
            family.add_metric(self._values(), [*named, ("+Inf", float(count))], float(total), timestamp=time)
        return family


def _grown(counts: NDArray[Any]) -> NDArray[Any]:
    """Returns the sums of counts from the start until the end of each second, after a first 0; `[seconds + 1, ...]`."""
    return np.cumsum(np.insert(counts, 0, 0, axis=0), axis=0)
