"""Ends a program without a message when the reader of its output has closed the pipe, as `head` does."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

CLOSED_PIPE = 141
"""The exit code then: 128 plus the number of SIGPIPE, as a shell reports it for other programs."""


def until_closed_pipe(main: Callable[[], int]) -> int:
    """Runs a program; returns its exit code, or CLOSED_PIPE if its output could not be written for that reason."""
    _open_missing()
    try:
        try:
            return main()
        finally:  # `--help` raises SystemExit.
            sys.stdout.flush()
    except BrokenPipeError:
        # The interpreter flushes both again when it exits.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for file in (sys.stdout, sys.stderr):
            os.dup2(nowhere, file.fileno())
        return CLOSED_PIPE


def _open_missing() -> None:
    """Opens /dev/null in place of standard streams that the parent has closed, as `2>&-` does.

    Otherwise the next file that is opened gets the descriptor, and libraries in C write their messages into it.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115  It stays open.
