"""The corpus of the quality measurements: documents and labelled queries.

It is the project's sample, or a directory in BEIR's layout (Thakur et al. 2021): `corpus.jsonl` (`_id`, `title`,
`text`), `queries.jsonl` (`_id`, `text`) and `qrels/SPLIT.tsv` (query id, document id, score, after a header).
"""

from __future__ import annotations

import csv
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from export.errors import ExportError
from export.labelled_queries import LabelledQuery, load_labelled_queries
from server.catalogue.catalogue import load_catalogue
from server.catalogue.document import Document
from server.catalogue.jsonl import read_jsonl
from server.programs import INSTALLED

SAMPLE = Path(__file__).parents[1 if INSTALLED else 2] / "sample"
"""The folder of the checkout; the wheel has a copy in this package."""

SPLITS = ("test", "dev", "validation", "train")
"""Order of preference of the qrels files if --split is not set."""

MAX_QUERIES = 1000
MAX_DOCUMENTS = 2000


@dataclass(frozen=True)
class Corpus:
    """Documents and labelled queries; `name` describes them in the report."""

    name: str
    documents: list[Document]
    queries: list[LabelledQuery]


def sample_corpus() -> Corpus:
    """Returns the sample's documents and queries. Documents have no example queries, to save time."""
    documents = [
        msgspec.structs.replace(document, examples=[]) for document in load_catalogue(SAMPLE / "catalogue.jsonl")
    ]
    return Corpus("sample", documents, load_labelled_queries(SAMPLE / "queries.jsonl", documents))


def read_beir(
    directory: Path, *, split: str | None = None, max_queries: int = MAX_QUERIES, max_documents: int = MAX_DOCUMENTS
) -> Corpus:
    """Reads a directory in BEIR's layout.

    If there is more than the maximum, a shuffle with a fixed seed selects queries and documents. The documents that
    answer the selected queries are always included.

    Raises:
        ExportError: A file is missing or malformed, or no query has a relevant document.
        CatalogueError: A JSONL file has an invalid line; the error names file and line.
    """
    path, split = _qrels_path(directory, split)
    texts = {id: query.text for id, query in _by_id(directory / "queries.jsonl", _Query).items()}
    documents = _by_id(directory / "corpus.jsonl", _Document)
    relevant: dict[str, list[str]] = {}
    for number, query_id, document_id in _judgements(path):
        if query_id not in texts:
            raise ExportError(f"{path}:{number}: unknown query {query_id!r}")
        if document_id not in documents:
            raise ExportError(f"{path}:{number}: unknown document {document_id!r}")
        if documents[document_id].as_document() is not None:  # A document of whitespace cannot be found.
            relevant.setdefault(query_id, []).append(document_id)
    usable = sorted(id for id in relevant if texts[id].strip())
    if not usable:
        raise ExportError(f"{path} has no query with a relevant document")
    shuffle = random.Random(0)  # noqa: S311  a sample, not a secret
    queries = shuffle.sample(usable, min(max_queries, len(usable)))
    wanted = {id for query in queries for id in relevant[query]}
    others = [id for id in documents if id not in wanted]
    chosen = wanted | set(shuffle.sample(others, min(max(0, max_documents - len(wanted)), len(others))))
    # In the order of the file: it breaks ties between equal scores, and must not favour relevant documents.
    taken = [found for id in documents if id in chosen and (found := documents[id].as_document()) is not None]
    name = f"{directory.name} ({split}: {len(queries)} of {len(usable)} queries, {len(taken)} of {len(documents)})"
    labelled = [LabelledQuery(query=texts[id], language="all", relevant=relevant[id]) for id in queries]
    return Corpus(name, taken, labelled)


T = TypeVar("T", bound="_Query | _Document")


def _by_id(path: Path, type: type[T]) -> dict[str, T]:
    found: dict[str, T] = {}
    for number, each in read_jsonl(path, type):
        if each.id in found:
            raise ExportError(f"{path}:{number}: _id {each.id!r} occurs twice")
        found[each.id] = each
    return found


class _Query(msgspec.Struct, frozen=True):
    id: str = msgspec.field(name="_id")
    text: str


class _Document(msgspec.Struct, frozen=True):
    id: str = msgspec.field(name="_id")
    title: str = ""
    text: str = ""

    def as_document(self) -> Document | None:
        """Returns the document of a catalogue, or None if there is nothing to encode."""
        title, text = self.title.strip(), self.text.strip()
        return Document(id=self.id, title=title or {}, text=text or {}) if title or text else None


def _qrels_path(directory: Path, split: str | None) -> tuple[Path, str]:
    if not directory.is_dir():
        raise ExportError(f"there is no directory {directory}")
    found = sorted(path.stem for path in (directory / "qrels").glob("*.tsv"))
    if not found:
        raise ExportError(f"{directory} is not in BEIR's layout: it has no qrels/*.tsv")
    if split is None:
        split = next((each for each in SPLITS if each in found), found[0])
    if split not in found:
        raise ExportError(f"{directory} has no qrels/{split}.tsv; it has {', '.join(found)}")
    return directory / "qrels" / f"{split}.tsv", split


def _judgements(path: Path) -> Iterator[tuple[int, str, str]]:
    """Yields line number, query id and document id of each judgement above 0."""
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
                    yield number, row[0], row[1]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ExportError(f"{path} cannot be read: {error}") from None


def _whole_number(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None
