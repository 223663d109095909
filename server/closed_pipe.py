"""Ends a program without a message when the reader of its output has closed the pipe, as `head` does."""

import os
import sys
from collections.abc import Callable

CLOSED_PIPE = 141
"""The exit code then: 128 plus the number of SIGPIPE, as a shell reports it for other programs."""


def until_closed_pipe(main: Callable[[], int]) -> int:
    """Runs a program; returns its exit code, or CLOSED_PIPE if its output could not be written for that reason."""
    try:
        try:
            return main()
        finally:  # `--help` raises SystemExit.
            if sys.stdout is not None:
                sys.stdout.flush()
    except BrokenPipeError:
        # The interpreter flushes both again when it exits.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for file in (sys.stdout, sys.stderr):
            os.dup2(nowhere, file.fileno())
        return CLOSED_PIPE
