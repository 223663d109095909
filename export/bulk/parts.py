"""The parts of catalogue files that are read at a time: lines of a JSONL file, or rows of a Parquet file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from export.bulk.parquet import read_row_group, row_groups
from server.catalogue.document import Document
from server.catalogue.jsonl import Lines, read_jsonl, split_jsonl
from server.errors import CatalogueError

PART_BYTES = 2**23
"""Size of a part of a JSONL file. Rows of a Parquet file are a part as they were written, as a row group."""

PARQUET = ".parquet"

SUFFIXES = (".jsonl", PARQUET)
"""Ends of the names of files that are read in a folder."""


class LinesPart(msgspec.Struct, frozen=True, tag="lines"):
    """Lines of a JSONL file."""

    path: str
    lines: Lines

    def read(self) -> Iterator[tuple[int, Document]]:
        """Yields the documents, each with the number of its line. Raises CatalogueError."""
        return read_jsonl(Path(self.path), Document, self.lines)

    def place(self, number: int) -> str:
        """Returns the place of a document in messages."""
        return f"{self.path}:{number}"


class RowsPart(msgspec.Struct, frozen=True, tag="rows"):
    """A row group of a Parquet file, and the number of its first row."""

    path: str
    group: int
    first: int

    def read(self) -> Iterator[tuple[int, Document]]:
        """Yields the documents, each with the number of its row, from 1. Raises CatalogueError."""
        return read_row_group(Path(self.path), self.group, first=self.first)

    def place(self, number: int) -> str:
        """Returns the place of a document in messages."""
        return f"{self.path}, row {number}"


Part = LinesPart | RowsPart


def parts_of(path: Path) -> Iterator[Part]:
    """Yields the parts of a file in order; raises CatalogueError."""
    if path.suffix.lower() == PARQUET:
        for group, first in row_groups(path):
            yield RowsPart(str(path), group, first)
    else:
        for lines in split_jsonl(path, size_bytes=PART_BYTES):
            yield LinesPart(str(path), lines)


def files_of(places: Iterable[Path]) -> list[Path]:
    """Returns the files that `--catalogue` names, as absolute paths; those of a folder are sorted by path.

    As in Spark, names that begin with a dot or an underscore are no data. Raises CatalogueError for an empty folder.
    """
    found: list[Path] = []
    for place in places:
        if not place.is_dir():
            found.append(place.absolute())
            continue
        inside = sorted(
            path.absolute()
            for path in place.rglob("*")
            if path.suffix.lower() in SUFFIXES
            and path.is_file()
            and not any(name.startswith((".", "_")) for name in path.relative_to(place).parts)
        )
        if not inside:
            raise CatalogueError(f"{place} has no files whose names end with {' or '.join(SUFFIXES)}")
        found += inside
    return found
