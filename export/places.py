"""Keeps what a command writes apart from what it reads."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

Place = tuple[str, Path | str | None]
"""A flag and the file or folder that it names, or None."""


def check_places(parser: argparse.ArgumentParser, *, written: Iterable[Place], read: Iterable[Place]) -> None:
    """Exits with an error if a place to write is the same as another place, is inside it, or holds it.

    Places that are read may hold each other.
    """
    outputs = _resolved(written)
    inputs = _resolved(read)
    for number, (flag, path) in enumerate(outputs):
        for other, place in outputs[:number] + inputs:
            if path.is_relative_to(place) or place.is_relative_to(path):
                parser.error(f"{flag} and {other} overlap: set {flag} to another place")


def beir_places(directory: Path | None) -> list[Place]:
    """Returns the files of --eval that a command may read; other files beside them may be written."""
    names = () if directory is None else ("corpus.jsonl", "queries.jsonl", "qrels")
    return [("--eval", directory / name) for name in names if directory is not None]


def _resolved(places: Iterable[Place]) -> list[tuple[str, Path]]:
    return [(flag, Path(path).resolve()) for flag, path in places if path is not None]
