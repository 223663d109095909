"""Repeats the current step of an export on stderr. `export.progress` runs this file in a separate process.

A thread would be silent while a library holds the GIL, as torch does for a minute when it traces a large model.
"""

from __future__ import annotations

import os
import select
import sys
import time

END = "end"
"""The last line in the pipe. Without it the process at its other end has died."""


def repeat_steps(steps: int, *, interval_seconds: float, started: float, last_words: str) -> None:
    """Prints the current step after each interval without a new one, until the pipe is closed.

    Args:
        steps: The descriptor of a pipe with the steps, one on each line.
        interval_seconds: The interval.
        started: The start of the export, by `time.monotonic`, which all processes share.
        last_words: Printed if the pipe is closed without `END`, unless empty.
    """
    step, step_started = "", started
    while True:
        if not select.select([steps], [], [], interval_seconds)[0]:
            now = time.monotonic()
            print(f"[{now - started:5.1f} s] still {step}, for {now - step_started:.0f} s", file=sys.stderr, flush=True)
        elif lines := os.read(steps, 1 << 16):
            step, step_started = lines.decode(errors="replace").splitlines()[-1], time.monotonic()
        else:
            if last_words and step != END:
                print(last_words, file=sys.stderr, flush=True)
            return


if __name__ == "__main__":
    seconds, began, words = sys.argv[1:]
    repeat_steps(sys.stdin.fileno(), interval_seconds=float(seconds), started=float(began), last_words=words)
