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
    """Times the stages of one text; they follow one another without a gap.

    It starts when it is made. `seconds` holds the stages that have ended.
    """

    __slots__ = ("_since", "seconds")

    def __init__(self) -> None:
        self._since = time.perf_counter()
        self.seconds: dict[Stage, float] = {}

    def lap(self, stage: Stage) -> None:
        """Ends `stage`: all time since the last lap was its."""
        now = time.perf_counter()
        self.seconds[stage] = now - self._since
        self._since = now
