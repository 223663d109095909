"""The corpus of the quality measurements: documents and labelled queries.

It is the project's sample, or a directory in BEIR's layout (`export.beir`).
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import msgspec

from export.beir import BeirDirectory
from export.errors import ExportError
from export.labelled_queries import LabelledQuery, load_labelled_queries
from server.catalogue.catalogue import load_catalogue
from server.catalogue.document import Document
from server.programs import INSTALLED

SAMPLE = Path(__file__).parents[1 if INSTALLED else 2] / "sample"
"""The folder of the checkout; the wheel has a copy in this package."""

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
    read = BeirDirectory(directory)
    split = read.split(split)
    relevant: dict[str, list[str]] = {}
    for each in read.judgements(split):
        if read.documents[each.document] is not None:  # A document of whitespace cannot be found.
            relevant.setdefault(each.query, []).append(each.document)
    usable = sorted(id for id in relevant if read.queries[id].strip())
    if not usable:
        raise ExportError(f"{read.path(split)} has no query with a relevant document")
    shuffle = random.Random(0)  # noqa: S311  a sample, not a secret
    queries = shuffle.sample(usable, min(max_queries, len(usable)))
    wanted = {id for query in queries for id in relevant[query]}
    others = [id for id in read.documents if id not in wanted]
    chosen = wanted | set(shuffle.sample(others, min(max(0, max_documents - len(wanted)), len(others))))
    # In the order of the file: it breaks ties between equal scores, and must not favour relevant documents.
    taken = [found for id, found in read.documents.items() if id in chosen and found is not None]
    name = f"{directory.name} ({split}: {len(queries)} of {len(usable)} queries, {len(taken)} of {len(read.documents)})"
    labelled = [LabelledQuery(query=read.queries[id], language="all", relevant=relevant[id]) for id in queries]
    return Corpus(name, taken, labelled)
