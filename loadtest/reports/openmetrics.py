"""A run as an OpenMetrics file, second by second: `promtool tsdb create-blocks-from openmetrics` loads it.

Counters grow from 0 at the start of the run, as those of a server. The other samples are at the ends of its seconds.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric, SummaryMetricFamily
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from loadtest.analysis import bins
from loadtest.analysis.summary import Summary, call_names
from loadtest.analysis.timeline import Timeline
from loadtest.codes import OUTCOMES
from loadtest.errors import UsageError
from loadtest.reports.title import targets_of
from loadtest.stages import STAGES

LABELS = ("call", "method", "target")
"""Labels of the series of a call: its name in the mix, or else its method."""

BOUNDS_SECONDS = tuple(digit * 10.0**power for power in range(-4, 3) for digit in (1, 2.5, 5))
"""Upper bounds of the histograms' buckets."""


def openmetrics_report(summary: Summary) -> str:
    """Returns the timelines of each call of a run, or of runs at the same time, in OpenMetrics' text format.

    Args:
        summary: A summary with `timelines`.

    Raises:
        UsageError: The runs were not at the same time: their seconds would be added up.
    """
    starts = [run.header["started"] + run.header["plan"]["warm_up_seconds"] for run in summary.runs]
    if max(starts) - min(starts) > summary.timeline.planned_end:
        raise UsageError("--format openmetrics takes one run, or runs at the same time: name one results file")
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Timelines(summary, min(starts)))
    text: bytes = generate_latest(registry)  # type: ignore[no-untyped-call]
    return text.decode()


class _Timelines(Collector):
    """The metrics of a summary; `start` is the Unix time of its first second."""

    def __init__(self, summary: Summary, start: float) -> None:
        self._whole = summary.timeline
        self._target = targets_of(summary.runs)
        methods = {
            name: str(call["method"])
            for calls in (run.header["plan"]["calls"] for run in summary.runs)
            for name, call in zip(call_names(calls), calls, strict=True)
        }
        self._of_call = [((name, methods[name], self._target), each) for name, each in summary.timelines.items()]
        self._times = [start + second for second in range(len(summary.timeline) + 1)]

    def collect(self) -> Iterator[Metric]:
        requests = CounterMetricFamily(
            "chaja_loadtest_requests", "Requests sent, by outcome.", labels=[*LABELS, "outcome"]
        )
        for values, timeline in self._of_call:
            for code in np.flatnonzero(timeline.codes.any(axis=0)):
                self._count(requests, timeline.codes[:, code], *values, OUTCOMES[code])
        yield requests
        # No record says to which call of a mix a dropped request belongs.
        dropped = CounterMetricFamily(
            "chaja_loadtest_dropped_requests", "Requests planned but not sent.", labels=["target"]
        )
        self._count(dropped, self._whole.dropped, self._target)
        yield dropped
        said = "Latency of successes from the planned time."
        yield self._histogram("chaja_loadtest_latency_seconds", said, lambda timeline: timeline.latency)
        said = "Service time of successes, from the send."
        yield self._histogram("chaja_loadtest_service_seconds", said, lambda timeline: timeline.service)
        if self._whole.staged.any():
            yield self._stages()

    def _stages(self) -> Metric:
        said = "The server's time in each stage."
        stages = SummaryMetricFamily("chaja_loadtest_stage_seconds", said, labels=[*LABELS, "stage"])
        for values, timeline in self._of_call:
            counts = self._grown(timeline.staged)
            for column, stage in enumerate(STAGES):
                sums = self._grown(timeline.stage_sums[:, column])
                for count, total, time in zip(counts, sums, self._times, strict=True):
                    stages.add_metric([*values, stage], int(count), float(total), timestamp=time)
        return stages

    def _count(self, family: CounterMetricFamily, counts: NDArray[np.int64], *labels: str) -> None:
        for total, time in zip(self._grown(counts), self._times, strict=True):
            family.add_metric(labels, float(total), timestamp=time)

    def _histogram(
        self, name: str, documentation: str, of: Callable[[Timeline], NDArray[np.int64]]
    ) -> HistogramMetricFamily:
        """Returns the growing histograms of the calls' counts by second and bin, `[seconds, bins.COUNT]`."""
        family = HistogramMetricFamily(name, documentation, labels=LABELS)
        middles = bins.SHORTEST_NS * np.exp((np.arange(bins.COUNT) + 0.5) * bins.WIDTH) / 1e9
        places = np.searchsorted(middles, BOUNDS_SECONDS, side="right") - 1
        for values, timeline in self._of_call:
            counts = of(timeline)
            within = self._grown(np.cumsum(counts, axis=1)[:, places])
            sums, totals = self._grown(counts @ middles), self._grown(counts.sum(axis=1))
            for buckets, count, total, time in zip(within, totals, sums, self._times, strict=True):
                named = [(f"{bound:g}", float(each)) for bound, each in zip(BOUNDS_SECONDS, buckets, strict=True)]
                family.add_metric(values, [*named, ("+Inf", float(count))], float(total), timestamp=time)
        return family

    def _grown(self, counts: NDArray[Any]) -> NDArray[Any]:
        """Returns the sums of counts until the end of each second of the run, after a first 0; `[seconds + 1, ...]`."""
        missing = len(self._times) - 1 - len(counts)  # A call may end before the others.
        padded = np.pad(counts, [(1, missing)] + [(0, 0)] * (counts.ndim - 1))
        return np.cumsum(padded, axis=0)
