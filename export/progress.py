"""Says on stderr what an export is doing, at each step and at least every ten seconds."""

from __future__ import annotations

import contextlib
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from export.heartbeat import END

INTERVAL_SECONDS = 8.0
"""Longest silence; ten seconds are promised."""


class Progress:
    """Prints steps with the seconds since the start. Between them, `export.heartbeat` repeats the current one.

    Used as a context manager; at its end the process of the heartbeat is over.
    """

    def __init__(self, *, interval_seconds: float = INTERVAL_SECONDS, last_words: str = "") -> None:
        """Takes the line that the heartbeat prints if this process dies: libraries may end it without a message."""
        self._interval_seconds = interval_seconds
        self._last_words = last_words
        self._started = time.monotonic()

    def __enter__(self) -> Self:
        script = Path(__file__).with_name("heartbeat.py")
        arguments = [str(self._interval_seconds), str(self._started), self._last_words]
        # Isolated and without site packages, so that it starts at once.
        command = [sys.executable, "-I", "-S", str(script), *arguments]
        # It stays in the process group, so that Ctrl-Z stops it, too. It inherits the blocked signal: Ctrl-C ends only
        # this process, which closes the pipe.
        blocked_before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self._heartbeat = subprocess.Popen(command, stdin=subprocess.PIPE, bufsize=0)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked_before)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._heartbeat:  # Closes the pipe and waits.
            self._send(END)

    def __call__(self, step: str) -> None:
        """Prints the step that begins, which is one line."""
        self._print(f"{step} …")
        self._send(step)

    def finish(self) -> None:
        """Prints the duration, the time of all cores, and the largest memory that the process had."""
        self._print(f"done, with {time.process_time():.0f} s of CPU time and at most {peak_bytes() / 1e9:.1f} GB")

    def _send(self, line: str) -> None:
        if self._heartbeat.stdin is not None:
            with contextlib.suppress(OSError):  # Without the heartbeat an export is only less talkative.
                self._heartbeat.stdin.write(f"{line}\n".encode())

    def _print(self, line: str) -> None:
        print(f"[{time.monotonic() - self._started:5.1f} s] {line}", file=sys.stderr, flush=True)


def peak_bytes() -> int:
    """Returns the largest resident memory that this process had so far."""
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes if sys.platform == "darwin" else 1024 * kilobytes
