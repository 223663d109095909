"""The progress of a running attack."""

import math
import time
from typing import IO, Any

import numpy as np

from loadtest.codes import OK, REFUSED
from loadtest.plan import Plan
from loadtest.results.record import DTYPE

WINDOW_SECONDS = 1.0


class Progress:
    """Counts since the start, and the latencies of the last second.

    Attributes:
        seconds: Time since the start of the measured part; below 0 in the warm-up.
        answered: Requests of the measured part that ended, with any outcome.
        errors: Requests that failed, without refused ones.
        refused: Requests that the server refused.
        rate: Answers a second, over the last second.
        records: Requests that ended, with those of the warm-up.
        codes: gRPC codes that calls ended with, without those inside answers, and with those of the warm-up.
        p99_seconds: 99th percentile of the latencies from the planned time, over the last second; NaN without any.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.seconds = -plan.warm_up_seconds
        self.answered = self.errors = self.refused = self.records = 0
        self.codes: set[int] = set()
        self.rate, self.p99_seconds = 0.0, math.nan
        self._vitals: dict[int, dict[str, Any]] = {}
        self._latencies: list[np.ndarray[Any, np.dtype[np.int64]]] = []
        self._since = time.monotonic()

    @property
    def dropped(self) -> int:
        """Requests that were planned but not sent."""
        return sum(int(vitals["dropped"]) for vitals in self._vitals.values())

    @property
    def in_flight(self) -> int:
        """Unanswered calls, by the workers' last reports."""
        return sum(int(vitals["in_flight"]) for vitals in self._vitals.values())

    def add(self, packed: bytes) -> None:
        """Counts packed records."""
        records = np.frombuffer(packed, dtype=DTYPE)
        self.codes.update(np.where(records["failed_parts"] > 0, OK, records["code"]).tolist())
        self.records += len(records)
        records = records[records["planned_ns"] >= 0]
        self.answered += len(records)
        refused = int(np.count_nonzero(records["code"] == REFUSED))
        self.refused += refused
        self.errors += int(np.count_nonzero(records["code"] != OK)) - refused
        self._latencies.append(records["done_ns"] - records["planned_ns"])

    def tick(self) -> None:
        """Closes the window of one second when it is over, even if no answer arrived in it."""
        elapsed = time.monotonic() - self._since
        if elapsed >= WINDOW_SECONDS:
            latencies = np.concatenate([np.zeros(0, dtype=np.int64), *self._latencies])
            self.rate = len(latencies) / elapsed
            self.p99_seconds = float(np.percentile(latencies, 99)) / 1e9 if len(latencies) else math.nan
            self._latencies.clear()
            self._since = time.monotonic()

    def note(self, vitals: dict[str, Any]) -> None:
        """Updates the counts from a worker's vitals."""
        self._vitals[int(vitals["process"])] = vitals

    def line(self) -> str:
        """Returns the progress in one line."""
        if self.seconds < 0:
            return f"warming up, {-self.seconds:.0f} s to go"
        p99 = "-" if math.isnan(self.p99_seconds) else f"{self.p99_seconds * 1e3:.1f} ms"
        parts = [f"{self._left()}", f"{self.rate:,.0f}/s", f"p99 {p99}", f"answered {self.answered:,}"]
        parts += [f"in flight {self.in_flight:,}", f"errors {self.errors:,}", f"refused {self.refused:,}"]
        if self.dropped:
            parts.append(f"dropped {self.dropped:,}")
        return "  ".join(parts)

    def _left(self) -> str:
        plan = self.plan
        if math.isfinite(plan.seconds):
            left = plan.seconds - self.seconds
            return f"{left:.0f} s left" if left > 0 else "waiting for the last answers"
        return f"{max(0, (plan.count or 0) - self.answered):,} left"


class TerminalProgress:
    """Shows the progress in one line that is overwritten; prints nothing if the stream is not a terminal."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._live = stream.isatty()
        self._width = 0

    def __call__(self, progress: Progress) -> None:
        """Shows the progress."""
        if self._live:
            line = progress.line()
            print(f"\r{line:{self._width}}", end="", file=self._stream, flush=True)
            self._width = len(line)

    def clear(self) -> None:
        """Removes the line."""
        if self._live and self._width:
            print(f"\r{'':{self._width}}\r", end="", file=self._stream, flush=True)
