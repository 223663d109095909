"""The five stages of a query, named as in `Timings` and the metrics, and the stopwatch that times them."""

import time
from typing import Literal, get_args

Stage = Literal["tokenize", "queue", "encode", "search", "fetch"]

STAGES: tuple[Stage, ...] = get_args(Stage)


class Stopwatch:
    """Times the stages of one text, from when it is made. `seconds` holds the stages that have ended."""

    __slots__ = ("_since", "seconds")

    def __init__(self) -> None:
        self._since = time.perf_counter()
        self.seconds: dict[Stage, float] = {}

    def lap(self, stage: Stage) -> None:
        """Counts the time since the last lap for `stage`."""
        now = time.perf_counter()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._since
        self._since = now

    def restart(self) -> None:
        """Counts the time since the last lap for no stage: the text waited for others of its own call."""
        self._since = time.perf_counter()
