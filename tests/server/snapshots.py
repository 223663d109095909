"""Snapshots in a temporary folder."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from server.snapshot import Arrays, read_snapshot, write_snapshot


def saved_and_read(arrays: Arrays) -> Arrays:
    """Returns arrays after writing and reading them."""
    with TemporaryDirectory() as directory:
        write_snapshot(Path(directory), {}, parts={"part": arrays}, files={})
        return read_snapshot(Path(directory), {}).parts["part"]
