"""Samples the metrics every few seconds and keeps the last 15 minutes of what the charts show."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator
from typing import Any

from prometheus_client import CollectorRegistry

from server.http.pages.figures import Figures, Gauges, as_point, codes_of, figures_of, gauges_of, reasons_of
from server.http.pages.reading import Reading, Window
from server.priority import CALL_NICENESS, give_way

log = logging.getLogger(__name__)

SAMPLE_SECONDS = 5
WINDOW_SECONDS = 60
"""Rates, shares and percentiles cover this time before each sample, or the time since the start if that is shorter."""

WINDOW_SAMPLES = WINDOW_SECONDS // SAMPLE_SECONDS

KEPT_SAMPLES = 15 * 60 // SAMPLE_SECONDS


@contextlib.contextmanager
def sampling(registry: CollectorRegistry) -> Iterator[Sampler]:
    """Yields a sampler of a registry, and takes samples in a separate thread meanwhile."""
    sampler, ended = Sampler(registry), threading.Event()
    thread = threading.Thread(target=_sample_until, args=(sampler, ended), name="sampler")
    thread.start()
    try:
        yield sampler
    finally:
        ended.set()
        thread.join()


def _sample_until(sampler: Sampler, ended: threading.Event) -> None:
    give_way(CALL_NICENESS)
    while not ended.wait(SAMPLE_SECONDS):
        try:
            sampler.sample()
        except Exception:  # The next sample may succeed, and the page keeps the figures that it has.
            log.exception("a sample of the metrics failed")


class Sampler:
    """The last samples. One thread takes them; any thread may read the attributes.

    Attributes:
        figures: Figures of the last window; None until there are two samples.
        gauges: Values of the last sample.
        series: The points of the last 15 minutes: a list for each figure; `at` holds their Unix times.
        codes: Calls and queries of streams that ended in the last 15 minutes, by the code of their answer.
        reasons: Those that ended with an error, by its reason.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        """Takes the first sample."""
        self._registry = registry
        first = Reading.of(registry)
        self._readings = deque([first], maxlen=WINDOW_SAMPLES + 1)
        self._points: deque[dict[str, Any]] = deque(maxlen=KEPT_SAMPLES)
        self._codes: deque[Counter[str]] = deque(maxlen=KEPT_SAMPLES)
        self._reasons: deque[Counter[str]] = deque(maxlen=KEPT_SAMPLES)
        self.figures: Figures | None = None
        self.gauges: Gauges = gauges_of(first)
        self.series: dict[str, list[Any]] = {}
        self.codes: dict[str, int] = {}
        self.reasons: dict[str, int] = {}

    def sample(self) -> None:
        """Takes a sample now."""
        before, reading = self._readings[-1], Reading.of(self._registry)
        self._readings.append(reading)
        figures = figures_of(Window(self._readings[0], reading))
        self._points.append(as_point(time.time(), figures))
        since = Window(before, reading)
        self._codes.append(+codes_of(since))
        self._reasons.append(+reasons_of(since))
        self.figures, self.gauges = figures, gauges_of(reading)
        self.series = {name: [point[name] for point in self._points] for name in self._points[0]}
        self.codes = dict(sum(self._codes, Counter[str]()).most_common())
        self.reasons = dict(sum(self._reasons, Counter[str]()).most_common())
