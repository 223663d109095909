"""Texts on their way through the stages, and what their searches found."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram

from server.metrics.buckets import STAGE_SECONDS
from server.stages import STAGES, Stopwatch

INTERPRETATIONS = ("keyboard", "initials", "unfinished", "spaces", "typo")
"""The kinds of readings (`readings.reading.Kind`)."""


EFFECTS = ("pinned", "buried", "boosted")
"""The effects of rules (`ranking.found.Effect`)."""


class SearchMetrics:
    """The metrics of texts and searches."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Creates every series."""
        stage_seconds = Histogram(
            "chaja_stage_seconds",
            "Time that a text spent in each stage. It includes the work on texts of the same batch, but no wait for "
            "other texts of its call.",
            ["stage"],
            buckets=STAGE_SECONDS,
            registry=registry,
        )
        self._stage_seconds = {stage: stage_seconds.labels(stage) for stage in STAGES}
        searches = Counter(
            "chaja_searches_total",
            "Answered searches, by result: hits, no_hits, or no_good_answer if there are hits but none fits well.",
            ["result"],
            registry=registry,
        )
        interpreted = Counter(
            "chaja_searches_interpreted_total",
            "Answered searches of what was meant instead of what was typed, by interpretation: keyboard, initials, "
            "unfinished, spaces or typo.",
            ["interpretation"],
            registry=registry,
        )
        self._interpreted = {each: interpreted.labels(each) for each in INTERPRETATIONS}
        self._expanded = Counter(
            "chaja_searches_expanded_total",
            "Answered searches to which rules of synonyms have added phrases.",
            registry=registry,
        )
        moved = Counter(
            "chaja_hits_moved_total",
            "Hits of answered searches that rules of merchandising have moved, by effect: pinned, buried or boosted.",
            ["effect"],
            registry=registry,
        )
        self._moved = {each: moved.labels(each) for each in EFFECTS}
        self._hits, self._no_hits, self._no_good_answer = (
            searches.labels(result) for result in ("hits", "no_hits", "no_good_answer")
        )

    def answer(
        self,
        *,
        hits: int,
        no_good_answer: bool,
        interpretation: str = "",
        expanded: bool = False,
        effects: Iterable[str] = (),
    ) -> None:
        """Counts an answered search, its interpretation and expansion, if any, and the effects of rules on its hits."""
        for effect in effects:
            self._moved[effect].inc()
        if interpretation:
            self._interpreted[interpretation].inc()
        if expanded:
            self._expanded.inc()
        if not hits:
            self._no_hits.inc()
        elif no_good_answer:
            self._no_good_answer.inc()
        else:
            self._hits.inc()

    def observe_stages(self, stopwatch: Stopwatch, exemplar: dict[str, str] | None = None) -> None:
        """Records the time that one text spent in each stage; `exemplar` names the trace of its call."""
        for stage, seconds in stopwatch.seconds.items():
            self._stage_seconds[stage].observe(seconds, exemplar)
