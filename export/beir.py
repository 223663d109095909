"""Reads the files of BEIR's layout (Thakur et al. 2021).

A directory has `corpus.jsonl` (`_id`, `title`, `text`), `queries.jsonl` (`_id`, `text`) and for each split a file
`qrels/SPLIT.tsv` (query id, document id, score, after a header).
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar

import msgspec

from export.errors import ExportError
from server.catalogue.document import Document
from server.catalogue.jsonl import read_jsonl

SPLITS = ("test", "dev", "validation", "train")
"""Order of preference of the splits if none is named."""


class Judgement(NamedTuple):
    """A line of a split: a query, and a document that answers it, with a grade above 0."""

    line: int
    query: str
    document: str
    grade: int


class _Query(msgspec.Struct, frozen=True):
    id: str = msgspec.field(name="_id")
    text: str


class _Document(msgspec.Struct, frozen=True):
    id: str = msgspec.field(name="_id")
    title: str = ""
    text: str = ""

    def as_document(self) -> Document | None:
        title, text = self.title.strip(), self.text.strip()
        return Document(id=self.id, title=title or {}, text=text or {}) if title or text else None


class BeirDirectory:
    """A directory in BEIR's layout, whose documents and queries are read."""

    def __init__(self, directory: Path) -> None:
        """Reads documents and queries.

        Raises:
            ExportError: A file is missing or malformed, or an id occurs twice.
            CatalogueError: A JSONL file has an invalid line; the error names file and line.
        """
        if not directory.is_dir():
            raise ExportError(f"there is no directory {directory}")
        self.directory = directory
        self.splits = sorted(path.stem for path in (directory / "qrels").glob("*.tsv"))
        if not self.splits:
            raise ExportError(f"{directory} is not in BEIR's layout: it has no qrels/*.tsv")
        self.queries = {id: query.text for id, query in _by_id(directory / "queries.jsonl", _Query).items()}
        read = _by_id(directory / "corpus.jsonl", _Document)
        self.documents = {id: each.as_document() for id, each in read.items()}
        """The documents by id, in the order of the file; None if there is nothing to encode."""

    @property
    def usable(self) -> list[Document]:
        """The documents that have something to encode, in the order of the file."""
        return [each for each in self.documents.values() if each is not None]

    def split(self, name: str | None) -> str:
        """Returns a split that exists: `name`, or the preferred one. Raises ExportError."""
        if name is None:
            return next((each for each in SPLITS if each in self.splits), self.splits[0])
        if name not in self.splits:
            raise ExportError(f"{self.directory} has no qrels/{name}.tsv; it has {', '.join(self.splits)}")
        return name

    def path(self, split: str) -> Path:
        """Returns the file of a split."""
        return self.directory / "qrels" / f"{split}.tsv"

    def judgements(self, split: str) -> Iterator[Judgement]:
        """Yields the judgements above 0 of a split. Raises ExportError for a malformed line or an unknown id."""
        path = self.path(split)
        for each in _judgements(path):
            if each.query not in self.queries:
                raise ExportError(f"{path}:{each.line}: unknown query {each.query!r}: it is not in queries.jsonl")
            if each.document not in self.documents:
                raise ExportError(f"{path}:{each.line}: unknown document {each.document!r}: it is not in corpus.jsonl")
            yield each


T = TypeVar("T", bound="_Query | _Document")


def _by_id(path: Path, type: type[T]) -> dict[str, T]:
    found: dict[str, T] = {}
    for number, each in read_jsonl(path, type):
        if each.id in found:
            raise ExportError(f"{path}:{number}: _id {each.id!r} occurs twice")
        found[each.id] = each
    return found


def _judgements(path: Path) -> Iterator[Judgement]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for number, row in enumerate(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE), start=1):
                score = _whole_number(row[2]) if len(row) == 3 else None
                if number == 1 and score is not None:
                    raise ExportError(f"{path}:1: expected a header: query-id, corpus-id, score")
                if number == 1 or not row:
                    continue
                if score is None:
                    raise ExportError(f"{path}:{number}: expected query id, document id and score, separated by tabs")
                if score > 0:
                    yield Judgement(number, row[0], row[1], score)
    except UnicodeDecodeError:
        raise ExportError(f"{path} is not UTF-8: save it as UTF-8") from None
    except (OSError, csv.Error) as error:
        raise ExportError(f"{path} cannot be read: {error}") from None


def _whole_number(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None
