"""Runs `python -m export` inside the test's own process, which has torch and its kin loaded already."""

from __future__ import annotations

import contextlib
import io
import logging
import signal
import warnings
from pathlib import Path
from subprocess import CompletedProcess

from export.__main__ import main

TINY_CORPUS = Path(__file__).parent / "tiny_corpus"


def export(*arguments: str) -> CompletedProcess[str]:
    """Runs the command line, and undoes what it changes of its process."""
    handler = signal.getsignal(signal.SIGTERM)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    out, error = io.StringIO(), io.StringIO()
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
            code = _exit_code(arguments)
    finally:
        signal.signal(signal.SIGTERM, handler)
        logging.disable(logging.NOTSET)
        root.handlers[:], root.level = handlers, level
    return CompletedProcess(arguments, code, out.getvalue(), error.getvalue())


def export_tiny(*arguments: str) -> CompletedProcess[str]:
    """Exports a small random model, whatever it finds among a few documents that its tokenizer can read.

    Vectors of random models lie in a narrow cone; they are centered only where a test asks for it.
    """
    center = () if "--center" in arguments else ("--center", "off")
    return export(*arguments, *center, "--eval", str(TINY_CORPUS), "--force")


def assert_one_line(run: CompletedProcess[str], message: str, *, code: int = 1) -> None:
    """Fails unless the run ended with one line of error."""
    lines = [line for line in run.stderr.splitlines() if not line.startswith("[")]
    assert run.returncode == code
    assert len(lines) == 1, run.stderr
    assert lines[0].startswith("export: error: ")
    assert message in lines[0]


def _exit_code(arguments: tuple[str, ...]) -> int:
    try:
        return main(list(arguments))
    except SystemExit as exit:
        return exit.code if isinstance(exit.code, int) else 1
