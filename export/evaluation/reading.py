"""Reads judged sets: a directory in BEIR's layout, or a catalogue with files of labelled queries."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from export.beir import BeirDirectory
from export.errors import ExportError
from export.evaluation.judged import SEED, JudgedQuery, JudgedSet, Pool, judged_set
from export.labelled_queries import load_labelled_queries
from server.catalogue.catalogue import load_catalogue
from server.catalogue.document import Document
from server.catalogue.languages import canonical_language
from server.ranking.language import language_of

DEV_SPLITS = ("dev", "validation", "valid")
"""Splits that BM25 is tuned on if none is named."""

TRAIN = "train"

OTHER = "other"
"""Language of a query whose letters do not say it."""


def read_beir_set(
    directory: Path,
    *,
    split: str | None = None,
    dev: str | None = None,
    labels: str | None = None,
    most_queries: int | None = None,
    most_documents: int | None = None,
) -> JudgedSet:
    """Reads a directory in BEIR's layout.

    Args:
        directory: The directory.
        split: The split that is reported; None takes test, else dev, validation, train.
        dev: The split that BM25 is tuned on; None takes a dev split that is not reported, else a part of `labels` or
            of train.
        labels: The split whose queries become example queries; None for no labels.
        most_queries: Maximum queries that are reported; a seed selects them.
        most_documents: Maximum documents; those that answer reported queries are always used.

    Raises:
        ExportError: A file is missing or malformed, names an unknown or blank query or document, or has no queries.
        CatalogueError: A JSONL file has an invalid line; the error names file and line.
    """
    read = BeirDirectory(directory)
    reported = read.split(split)
    for flag, each in (("--dev", dev), ("--labels", labels)):
        if each is not None and read.split(each) == reported:
            raise ExportError(f"{flag} {each} is the split that is reported: set --split to another one")
    if dev is not None and dev == labels:
        raise ExportError(f"--dev and --labels name the same split, {dev}: leave --dev out to tune with a part of it")
    free = [each for each in read.splits if each not in (reported, labels)]
    dev = dev or next((each for each in DEV_SPLITS if each in free), None)
    train = labels or (TRAIN if dev is None and TRAIN in free else None)
    queries = some(queries_of(read, reported), most_queries)
    documents = chosen(read.usable, queries, most_documents)
    return judged_set(
        documents,
        Pool(name=f"{directory.name}, {reported}", queries=queries),
        dev=None if dev is None else Pool(name=dev, queries=_within(queries_of(read, dev), documents)),
        train=None if train is None else Pool(name=train, queries=_within(queries_of(read, train), documents)),
        with_labels=labels is not None,
    )


def read_catalogue_set(
    catalogue: Path,
    queries: Path,
    *,
    dev: Path | None = None,
    labels: Path | None = None,
    most_queries: int | None = None,
) -> JudgedSet:
    """Reads a catalogue, and files of labelled queries for what the splits of `read_beir_set` are for.

    Raises:
        CatalogueError: A file is missing or has an invalid line; the error names file and line.
        ExportError: A file has no query that the reported ones lack.
    """
    documents = load_catalogue(catalogue)

    def pool(path: Path) -> Pool:
        return Pool(name=path.name, queries=labelled(path, documents))

    return judged_set(
        documents,
        Pool(name=queries.name, queries=some(labelled(queries, documents), most_queries)),
        dev=None if dev is None else pool(dev),
        train=None if labels is None else pool(labels),
        with_labels=labels is not None,
    )


def labelled(path: Path, documents: Sequence[Document]) -> list[JudgedQuery]:
    """Returns the queries of a file of labelled queries. Raises CatalogueError."""
    return [
        JudgedQuery(
            text=each.query,
            language=canonical_language(each.language),
            grades=dict.fromkeys(each.relevant, 1),
            kind=each.kind,
        )
        for each in load_labelled_queries(path, documents)
    ]


def queries_of(read: BeirDirectory, split: str) -> list[JudgedQuery]:
    """Returns the queries of a split in the order of the file. Documents of whitespace answer nothing."""
    grades: dict[str, dict[str, int]] = {}
    for each in read.judgements(split):
        if not read.queries[each.query].strip():
            raise ExportError(f"{read.path(split)}:{each.line}: the text of query {each.query!r} is blank")
        of_query = grades.setdefault(each.query, {})
        if each.document in of_query:
            raise ExportError(f"{read.path(split)}:{each.line}: {each.query!r} and {each.document!r} occur twice")
        if read.documents[each.document] is not None:
            of_query[each.document] = each.grade
    return [
        JudgedQuery(text=read.queries[id], language=language_of(read.queries[id]) or OTHER, grades=found)
        for id, found in grades.items()
        if found
    ]


def some(queries: list[JudgedQuery], most: int | None) -> list[JudgedQuery]:
    """Returns all queries, or `most` of them, which a seed selects."""
    shuffle = random.Random(SEED)  # noqa: S311  a sample, not a secret
    return queries if most is None or len(queries) <= most else shuffle.sample(queries, most)


def chosen(documents: Sequence[Document], queries: Sequence[JudgedQuery], most: int | None) -> list[Document]:
    """Returns the documents that answer the queries, and others, which a seed selects, up to `most`.

    They are in the given order: it breaks ties, and must not favour relevant documents.
    """
    if most is None or len(documents) <= most:
        return list(documents)
    wanted = {id for each in queries for id in each.grades}
    others = [each.id for each in documents if each.id not in wanted]
    shuffle = random.Random(SEED)  # noqa: S311  a sample, not a secret
    kept = wanted | set(shuffle.sample(others, min(max(0, most - len(wanted)), len(others))))
    return [each for each in documents if each.id in kept]


def _within(queries: Sequence[JudgedQuery], documents: Sequence[Document]) -> list[JudgedQuery]:
    """Returns the queries that some of these documents answer, without the grades of others."""
    known = {each.id for each in documents}
    found = []
    for each in queries:
        grades = {id: grade for id, grade in each.grades.items() if id in known}
        if grades:
            found.append(JudgedQuery(text=each.text, language=each.language, grades=grades))
    return found
