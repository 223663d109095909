"""The five stages of a query, named as in `Timings` and the metrics, and a stopwatch for them."""

import time
from typing import Literal, TypeAlias, get_args

Stage = Literal["tokenize", "queue", "encode", "search", "fetch"]

STAGES: tuple[Stage, ...] = get_args(Stage)


Lap: TypeAlias = tuple[Stage, float, float]
"""A stage, or a part of one, and its start and end as values of `time.perf_counter()`. A class would take longer."""


class Stopwatch:
    """Times the stages of one text, from its creation on.

    Attributes:
        seconds: The time of each stage that has ended.
        laps: The stages in their order. A stage that was repeated, as after a failed batch, is there again.
    """

    __slots__ = ("_since", "laps", "seconds")

    def __init__(self) -> None:
        self._since = time.perf_counter()
        self.seconds: dict[Stage, float] = {}
        self.laps: list[Lap] = []

    def lap(self, stage: Stage) -> None:
        """Adds the time since the last lap to `stage`."""
        now = time.perf_counter()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._since
        self.laps.append((stage, self._since, now))
        self._since = now

    def restart(self) -> None:
        """Drops the time since the last lap: the text waited for other texts of its call."""
        self._since = time.perf_counter()
