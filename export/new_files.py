"""Files that people may edit, so none is overwritten."""

from __future__ import annotations

import os
from pathlib import Path

from export.errors import ExportError
from server.files import new_file
from server.report_files import check_report


def check_new(path: Path) -> None:
    """Raises ReportError if a new file could not be written, ExportError if there is one already."""
    check_report(path)
    if os.path.lexists(path):
        raise ExportError(f"{path} already exists and is not overwritten: choose another name")


def write_new(path: Path, content: str) -> None:
    """Writes a new file; raises ExportError if there is one by now. Line ends stay as they are."""
    try:
        with new_file(path) as unfinished:
            unfinished.write_bytes(content.encode())
    except FileExistsError:
        raise ExportError(f"{path} already exists and is not overwritten: choose another name") from None
