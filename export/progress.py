"""Says on stderr what an export is doing, at each step and at least every ten seconds."""

from __future__ import annotations

import resource
import sys
import threading
import time
from types import TracebackType
from typing import Self

INTERVAL_SECONDS = 5.0
"""Longest silence, unless a library holds the GIL, which takes seconds with a large model; ten seconds are promised."""


class Progress:
    """Prints steps with the seconds since the start. Between them, a thread repeats the current one.

    Used as a context manager; at its end the thread is over.
    """

    def __init__(self, *, interval_seconds: float = INTERVAL_SECONDS) -> None:
        self._interval_seconds = interval_seconds
        self._started = self._step_started = time.monotonic()
        self._step = ""
        self._changed = threading.Condition()
        self._over = False
        self._thread = threading.Thread(target=self._repeat, name="progress", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._over = True
            self._changed.notify()
        self._thread.join()

    def __call__(self, step: str) -> None:
        """Prints the step that begins."""
        with self._changed:
            self._step, self._step_started = step, time.monotonic()
            self._print(f"{step} …")
            self._changed.notify()

    def finish(self) -> None:
        """Prints the duration, the time of all cores, and the largest memory that the process had."""
        with self._changed:
            self._print(f"done, with {time.process_time():.0f} s of CPU time and at most {peak_bytes() / 1e9:.1f} GB")

    def _repeat(self) -> None:
        with self._changed:
            while not self._over:
                if not self._changed.wait(self._interval_seconds) and self._step:
                    self._print(f"still {self._step}, for {time.monotonic() - self._step_started:.0f} s")

    def _print(self, line: str) -> None:
        print(f"[{time.monotonic() - self._started:5.1f} s] {line}", file=sys.stderr, flush=True)


def peak_bytes() -> int:
    """Returns the largest resident memory that this process had so far."""
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes if sys.platform == "darwin" else 1024 * kilobytes
