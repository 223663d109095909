"""The five stages of a query, named as in `Timings` and the metrics, and a stopwatch for them."""

import time
from typing import Literal, get_args

Stage = Literal["tokenize", "queue", "encode", "search", "fetch"]

STAGES: tuple[Stage, ...] = get_args(Stage)


class Stopwatch:
    """Times the stages of one text, from its creation on. `seconds` holds the stages that have ended."""

    __slots__ = ("_since", "seconds")

    def __init__(self) -> None:
        self._since = time.perf_counter()
        self.seconds: dict[Stage, float] = {}

    def lap(self, stage: Stage) -> None:
        """Adds the time since the last lap to `stage`."""
        now = time.perf_counter()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._since
        self._since = now

    def restart(self) -> None:
        """Drops the time since the last lap: the text waited for other texts of its call."""
        self._since = time.perf_counter()
