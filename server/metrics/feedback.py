"""Feedback: its events, and what was learnt from it."""

import time
from collections.abc import Mapping
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge

EVENTS = ("stored", "known", "refused")

RESULTS = ("learnt", "unchanged", "refused", "failed")

MODES = ("dense", "hybrid")
"""The searches in which learning measures R@1: names of `server.ranking.options.Mode`."""


class FeedbackMetrics:
    """The metrics of feedback and learning."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Creates every series."""
        counter, gauge = partial(Counter, registry=registry), partial(Gauge, registry=registry)
        events = counter(
            "chaja_feedback_events_total",
            "Events of feedback, by result: stored, known (sent before), or refused (unknown document, or too many).",
            ["result"],
        )
        self.events = {result: events.labels(result) for result in EVENTS}
        self.promotions = gauge("chaja_promotions", "Example queries in force that were learnt from feedback.")
        runs = counter(
            "chaja_learn_runs_total",
            "Runs of learning in the server, by result: learnt, unchanged, refused (R@1 would fall), or failed.",
            ["result"],
        )
        self._runs = {result: runs.labels(result) for result in RESULTS}
        self._timestamp_seconds = gauge(
            "chaja_learn_timestamp_seconds", "Unix time when the last run of learning ended; 0 without one."
        )
        self._questions = gauge(
            "chaja_learn_questions", "Confirmed queries that the last run of learning has measured R@1 with."
        )
        recall = gauge(
            "chaja_learn_recall",
            "R@1 of confirmed queries that were held out, in the last run, before and after what it would add.",
            ["mode", "when"],
        )
        self._recall = {(mode, when): recall.labels(mode, when) for mode in MODES for when in ("before", "after")}

    def report(self, questions: int, before: Mapping[str, float], after: Mapping[str, float]) -> None:
        """Reports the measures of a run, by mode."""
        self._questions.set(questions)
        for (mode, when), series in self._recall.items():
            series.set((before if when == "before" else after)[mode])

    def ended(self, result: str) -> None:
        """Counts a run."""
        self._runs[result].inc()
        self._timestamp_seconds.set(time.time())
