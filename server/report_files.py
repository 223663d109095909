"""The files of reports, which may replace older ones."""

import os
import secrets
from pathlib import Path

from server.errors import ReportError
from server.files import UNFINISHED, is_pipe_or_device, sync


def check_report(*paths: Path | None) -> None:
    """Raises ReportError if a report could not be written: this is known before hours of work."""
    for path in paths:
        if path is None:
            continue
        if path.is_dir() or is_pipe_or_device(path) or not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
            raise ReportError(f"{path} cannot be written: name a file in a directory that exists")


def write_report(path: Path, content: str) -> None:
    """Writes a report; an older one stays as it was if that fails. Raises ReportError."""
    # The name is free; `tempfile` would make a file that only this user may read.
    unfinished = path.with_name(f"{path.name}.{secrets.token_hex(4)}{UNFINISHED}")
    try:
        with unfinished.open("x", encoding="utf-8") as file:
            try:
                file.write(content)
                file.flush()
                sync(unfinished)
                unfinished.replace(path)
            finally:
                unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise ReportError(f"{path} cannot be written: {error.strerror}; choose another path") from None
