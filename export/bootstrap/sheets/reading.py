"""Reads filled sheets. Only the columns `label` and `key` count; others may be moved, changed, added or deleted."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from export.bootstrap.sheets.cells import document_part, query_part
from export.errors import ExportError

LABELS = {
    **dict.fromkeys(("1", "1.0", "y", "yes", "o", "예", "네", "ㅇ", "true"), True),
    **dict.fromkeys(("0", "0.0", "n", "no", "x", "아니오", "아니요", "ㄴ", "false"), False),
}
"""Labels as people write them, in small letters: for a document that answers the query, and for one that does not."""

DELIMITERS = (",", ";", "\t")
"""Excel writes semicolons in countries where the comma is in numbers."""


class Pair(NamedTuple):
    """A query and the id of a document."""

    query: str
    document_id: str


class Label(NamedTuple):
    """A label of a sheet, and its line. `answers` is None if the cell is empty."""

    answers: bool | None
    line: int


class Sheet(NamedTuple):
    """A sheet that was filled."""

    path: Path
    labels: Mapping[Pair, Label]

    @property
    def empty(self) -> list[Pair]:
        """The pairs that have no label."""
        return [pair for pair, label in self.labels.items() if label.answers is None]


def read_sheet(path: Path, queries: Sequence[str], document_ids: Sequence[str]) -> Sheet:
    """Reads a sheet that was made of these queries and documents.

    Raises:
        ExportError: The file cannot be read or is no CSV with the columns, a label is none of `LABELS`, a key is
            unknown, or a row occurs twice with other labels; the error names file and line.
    """
    by_query = {query_part(each): each for each in queries}
    by_document = {document_part(each): each for each in document_ids}
    labels: dict[Pair, Label] = {}
    for line, key, written in _rows(path):
        query_key, _, document_key = key.partition("-")
        if query_key not in by_query or document_key not in by_document:
            unknown = "query" if query_key not in by_query else "document"
            raise ExportError(f"{path}:{line}: unknown {unknown}: give --queries and --catalogue of this sheet")
        if written and written.casefold() not in LABELS:
            raise ExportError(f"{path}:{line}: {written[:40]!r} is no label: write 1 if it answers the query, else 0")
        pair = Pair(by_query[query_key], by_document[document_key])
        label = Label(LABELS[written.casefold()] if written else None, line)
        before = labels.setdefault(pair, label)
        if before.answers is not label.answers:
            raise ExportError(f"{path}:{line}: another label than in line {before.line}: keep one of the two lines")
    if not labels:
        raise ExportError(f"{path} has no rows")
    return Sheet(path, labels)


def _rows(path: Path) -> Iterator[tuple[int, str, str]]:
    """Yields the line, the key and the label of each row."""
    text = _text(path)
    first = text.partition("\n")[0]
    delimiter = max(DELIMITERS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        header = [name.strip().casefold() for name in next(reader, [])]
        for name in ("label", "key"):
            if header.count(name) != 1:
                raise ExportError(f"{path}:1: expected one column {name!r}: keep the first line of the sheet")
        label, key = header.index("label"), header.index("key")
        for row in reader:
            if not any(cell.strip() for cell in row):
                continue
            if len(row) <= max(label, key) or not row[key].strip():
                raise ExportError(f"{path}:{reader.line_num}: the row has no key: copy it from the original sheet")
            yield reader.line_num, row[key].strip(), row[label].strip().lstrip("'").strip()
    except csv.Error as error:
        raise ExportError(f"{path}:{reader.line_num}: no CSV ({error}): save the sheet as CSV UTF-8") from None


def _text(path: Path) -> str:
    if path.exists() and not path.is_file():
        raise ExportError(f"{path} is not a regular file: name a sheet")
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ExportError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ExportError(f"{path} is not UTF-8: save it as CSV UTF-8, not as a workbook or plain CSV") from None
