"""The slowest searches of the last minutes, for the status page."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from server.batching.job import Job
from server.stages import Stage

KEPT_SECONDS = 900
KEPT_SEARCHES = 10
"""Searches that are kept of each minute, and shown of all."""

MINUTE_SECONDS = 60

SHOWN_CHARACTERS = 200
"""Characters of a text that are kept at most."""


class SlowSearch(NamedTuple):
    """One search. `text` is None unless users' texts may be shown."""

    ended_at: float
    """Unix time."""
    seconds: float
    stages: dict[Stage, float]
    mode: str
    filtered: bool
    characters: int
    batch_texts: int
    text: str | None


class _Minute:
    """The slowest searches that ended in one minute; `floor_seconds` is the time of the fastest that is kept."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.searches: list[SlowSearch] = []
        self.floor_seconds = 0.0

    def add(self, search: SlowSearch) -> None:
        # A new list each time: another thread may read the old one.
        self.searches = sorted([*self.searches, search], key=lambda each: -each.seconds)[:KEPT_SEARCHES]
        if len(self.searches) == KEPT_SEARCHES:
            self.floor_seconds = self.searches[-1].seconds


class SlowestSearches:
    """Written on the event loop; any thread may read it."""

    def __init__(self, *, show_texts: bool, clock: Callable[[], float] = time.time) -> None:
        """Keeps texts of users only with `show_texts`. `clock` returns the Unix time."""
        self._show_texts = show_texts
        self._clock = clock
        self._minutes: deque[_Minute] = deque(maxlen=KEPT_SECONDS // MINUTE_SECONDS)

    def add(self, job: Job) -> None:
        """Adds the job of an answered search, if it is one of the slowest of its minute."""
        stages, now = job.stopwatch.seconds, self._clock()
        seconds, number = sum(stages.values()), int(now // MINUTE_SECONDS)
        if not self._minutes or self._minutes[-1].number != number:
            self._minutes.append(_Minute(number))
        minute = self._minutes[-1]
        if seconds <= minute.floor_seconds or job.options is None:
            return
        minute.add(
            SlowSearch(
                ended_at=now,
                seconds=seconds,
                stages=stages,
                mode=job.options.mode.value,
                filtered=job.options.filter is not None,
                characters=len(job.asked),
                batch_texts=job.batch_texts,
                text=job.asked[:SHOWN_CHARACTERS] if self._show_texts else None,
            )
        )

    def latest(self) -> list[SlowSearch]:
        """Returns the slowest searches of the last KEPT_SECONDS, the slowest first."""
        since = self._clock() - KEPT_SECONDS
        found = [search for minute in list(self._minutes) for search in minute.searches if search.ended_at > since]
        return sorted(found, key=lambda each: -each.seconds)[:KEPT_SEARCHES]
