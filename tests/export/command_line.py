"""Runs `python -m export` in the process of the test, which has loaded torch already."""

import contextlib
import io
import logging
import signal
import warnings
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess

from export.__main__ import main
from export.report import Report, report_of
from server.encoding.bundle import Bundle
from server.encoding.manifest import Manifest, read_manifest

TINY_CORPUS = Path(__file__).parent / "tiny_corpus"


@dataclass(frozen=True)
class Exported:
    """An exported bundle, and the exporter's output."""

    directory: Path
    stdout: str
    stderr: str

    @property
    def manifest(self) -> Manifest:
        return read_manifest(self.directory)

    @property
    def report(self) -> Report:
        return report_of(self.manifest)

    @property
    def bundle(self) -> Bundle:
        return Bundle(self.directory)


def export(*arguments: str | Path) -> CompletedProcess[str]:
    """Runs the command line, and undoes its changes to the process."""
    handler = signal.getsignal(signal.SIGTERM)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    out, error = io.StringIO(), io.StringIO()
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
            code = _exit_code(list(map(str, arguments)))
    finally:
        signal.signal(signal.SIGTERM, handler)
        logging.disable(logging.NOTSET)
        root.handlers[:], root.level = handlers, level
    return CompletedProcess(arguments, code, out.getvalue(), error.getvalue())


def exported(model: Path, *flags: str | Path) -> Exported:
    """Exports a model to the folder `bundle` beside it."""
    out = model.with_name("bundle")
    run = export("--model", model, "--out", out, *flags)
    assert run.returncode == 0, run.stderr
    return Exported(out, run.stdout, run.stderr)


def export_tiny(model: Path, *flags: str | Path) -> Exported:
    """Exports a small random model, and compares it on a few documents without requiring any quality.

    Vectors of random models lie in a narrow cone; they are centered only if a test sets `--center`.
    """
    center = () if "--center" in flags else ("--center", "off")
    return exported(model, *flags, *center, "--eval", TINY_CORPUS, "--force")


def assert_one_line(run: CompletedProcess[str], message: str, *, code: int = 1) -> None:
    """Fails unless the run ended with an error of one line."""
    lines = [line for line in run.stderr.splitlines() if not line.startswith("[")]
    assert run.returncode == code
    assert len(lines) == 1, run.stderr
    assert lines[0].startswith("export: error: ")
    assert message in lines[0]


def _exit_code(arguments: list[str]) -> int:
    try:
        return main(arguments)
    except SystemExit as exit:
        return exit.code if isinstance(exit.code, int) else 1
