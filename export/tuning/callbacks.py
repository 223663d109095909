"""Callbacks of the trainer: progress, and the end of a training that a signal asks for."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

from transformers import TrainerCallback

from export.tuning.development import MEASURE

INTERVAL_SECONDS = 5.0
"""Shortest time between two lines of progress."""


class TimeLeft(TrainerCallback):
    """Says how far the training is, and the time that is left of it with the measurements."""

    def __init__(self, progress: Callable[[str], None]) -> None:
        self._progress = progress
        self._started: tuple[float, int] | None = None
        self._said = 0.0

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Notes the first step, which is a later one in a training that continues."""
        if self._started is None:
            self._started = time.monotonic(), state.global_step

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Prints a line, unless the last one is recent."""
        now = time.monotonic()
        if self._started is None or now - self._said < INTERVAL_SECONDS:
            return
        self._said = now
        started, first = self._started
        left = (now - started) / (state.global_step - first) * (state.max_steps - state.global_step)
        self._progress(f"training: step {state.global_step:,} of {state.max_steps:,}, {duration(left)} left at most")

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: Any = None, **_: Any) -> None:
        """Prints the score."""
        score = next(iter(metrics.values()))
        self._progress(f"training: step {state.global_step:,}, development part {MEASURE} {score:.3f}")


class LastMeasurement(TrainerCallback):
    """Measures the last step, too, of which the interval may be no divisor."""

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Asks the trainer for a measurement and a checkpoint after the last step."""
        if state.global_step >= state.max_steps:
            control.should_evaluate = True
            control.should_save = True


class StopRequests(TrainerCallback):
    """Ends the training after the present step, with a checkpoint, when SIGINT or SIGTERM arrives.

    A second signal ends it at once. Used as a context manager in the main thread.
    """

    def __init__(self) -> None:
        self.arrived = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Asks the trainer for a checkpoint, and to end."""
        if self.arrived:
            control.should_save = True
            control.should_training_stop = True

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.arrived:
            raise KeyboardInterrupt
        self.arrived = True


def duration(seconds: float) -> str:
    """Returns a duration in words of a table, such as `3 min 20 s`."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
