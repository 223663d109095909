"""Writes reports, which replace older ones, and results of work, which replace nothing."""

from __future__ import annotations

import os
from pathlib import Path

from export.errors import ExportError
from server.files import new_file


def check_report(*paths: Path | None) -> None:
    """Raises ExportError if a report could not be written: this is known before hours of work."""
    for path in paths:
        if path is not None and (path.is_dir() or not path.parent.is_dir() or not os.access(path.parent, os.W_OK)):
            raise ExportError(f"{path} cannot be written: name a file in a directory that exists")


def write_report(path: Path, content: str) -> None:
    """Writes a report; a full disk leaves an older one as it was."""
    unfinished = path.with_name(f"{path.name}.unfinished")
    try:
        unfinished.write_text(content, encoding="utf-8")
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def check_new(path: Path) -> None:
    """Raises ExportError if a new file could not be written, or if there is one already."""
    check_report(path)
    if os.path.lexists(path):
        raise ExportError(f"{path} already exists and is not overwritten: choose another name")


def write_new(path: Path, content: str) -> None:
    """Writes a file that people may edit; raises ExportError if there is one by now. Line ends stay as they are."""
    try:
        with new_file(path) as unfinished:
            unfinished.write_bytes(content.encode())
    except FileExistsError:
        raise ExportError(f"{path} already exists and is not overwritten: choose another name") from None
