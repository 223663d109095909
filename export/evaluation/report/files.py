"""The files of reports."""

from __future__ import annotations

import os
from pathlib import Path

from export.errors import ExportError
from server.files import is_pipe_or_device


def check_report(*paths: Path | None) -> None:
    """Raises ExportError if a report could not be written: this is known before hours of work."""
    for path in paths:
        if path is None:
            continue
        if path.is_dir() or is_pipe_or_device(path) or not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
            raise ExportError(f"{path} cannot be written: name a file in a directory that exists")


def write_report(path: Path, content: str) -> None:
    """Writes a report; a full disk leaves an older one as it was."""
    unfinished = path.with_name(f"{path.name}.unfinished")
    try:
        unfinished.write_text(content, encoding="utf-8")
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
