"""The output of a command: a file, or standard output."""

import sys
from collections.abc import Iterable
from pathlib import Path

from loadtest.errors import UsageError
from loadtest.results.file import is_results_file


def write(parts: Iterable[str], out: Path | None) -> None:
    """Writes text to a file, or to standard output; raises UsageError if the file cannot be written."""
    if out is None:
        sys.stdout.writelines(parts)
        return
    if is_results_file(out):
        raise UsageError(f"--out {out} is a results file and is not overwritten; name another file")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with out.open("w", encoding="utf-8", errors="backslashreplace") as file:
            file.writelines(parts)
    except OSError as error:
        raise UsageError(f"{out} cannot be written: {error.strerror}") from None
