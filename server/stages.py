"""The five stages of a query, and the stopwatch that times them.

The same words name the fields of `Timings` in every response and the `stage`
label of the metrics.
"""

from __future__ import annotations

import time
from typing import Literal, get_args

Stage = Literal["tokenize", "queue", "encode", "search", "fetch"]

STAGES: tuple[Stage, ...] = get_args(Stage)


class Stopwatch:
    """Times the stages of one text, which follow one another.

    It starts when it is made. `seconds` holds the stages that have ended.
    """

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
