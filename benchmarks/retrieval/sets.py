"""Sets to measure retrieval on: documents, queries, and which documents answer which."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path
from typing import NamedTuple

from export.labelled_queries import load_labelled_queries
from sample.server_process import REPOSITORY
from server.catalogue.catalogue import load_catalogue
from server.catalogue.document import Document

MOST_EXAMPLES = 10
"""Example queries that are drawn for each document, at most."""


class Asked(NamedTuple):
    """A query, and the positions of the documents that answer it."""

    query: str
    relevant: frozenset[int]


class RetrievalSet(NamedTuple):
    """A set of documents and of labelled queries.

    Attributes:
        name: The set and its split.
        documents: The documents.
        asked: The labelled queries.
        examples: For each document training questions that it answers, drawn with a fixed seed. None of them is asked.
    """

    name: str
    documents: list[Document]
    asked: list[Asked]
    examples: list[list[str]]


class SetError(Exception):
    """A directory that holds no retrieval set, or not this split of it; one line."""


def beir_set(directory: Path, split: str) -> RetrievalSet:
    """Reads a set in BEIR's layout. Documents without any text are left out; examples come from its split `train`.

    Raises:
        SetError: A file is missing, or says something else.
    """
    try:
        return _read_beir(directory, split)
    except OSError as error:
        raise SetError(f"{error.filename} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SetError(f"{directory} is no retrieval set in BEIR's layout: {error!r}") from None


def _read_beir(directory: Path, split: str) -> RetrievalSet:
    documents: list[Document] = []
    position_of: dict[str, int] = {}
    for line in (directory / "corpus.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        said = {name: row[name] for name in ("title", "text") if row.get(name, "").strip()}
        if said:
            position_of[row["_id"]] = len(documents)
            documents.append(Document(id=row["_id"], **said))
    rows = map(json.loads, (directory / "queries.jsonl").read_text(encoding="utf-8").splitlines())
    query_of = {row["_id"]: row["text"] for row in rows}

    def labels(name: str) -> list[Asked]:
        relevant: dict[str, set[int]] = {}
        with (directory / "qrels" / f"{name}.tsv").open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file, delimiter="\t"):
                if int(row["score"]) > 0:
                    relevant.setdefault(row["query-id"], set()).add(position_of[row["corpus-id"]])
        return [Asked(query_of[id], frozenset(positions)) for id, positions in relevant.items()]

    asked = labels(split)
    has_training = split != "train" and (directory / "qrels/train.tsv").is_file()
    examples = _draw_examples(labels("train") if has_training else [], asked, len(documents))
    return RetrievalSet(f"{directory.name}, {split}", documents, asked, examples)


def _draw_examples(training: list[Asked], asked: list[Asked], documents: int) -> list[list[str]]:
    drawn: list[list[str]] = [[] for _ in range(documents)]
    known = {each.query for each in asked}
    random.Random(0).shuffle(training)
    for each in training:
        for position in each.relevant:
            if each.query not in known and len(drawn[position]) < MOST_EXAMPLES:
                drawn[position].append(each.query)
    return drawn


def sample_set() -> RetrievalSet:
    """Reads the sample catalogue and its labelled queries."""
    documents = load_catalogue(REPOSITORY / "sample/catalogue.jsonl")
    position_of = {document.id: position for position, document in enumerate(documents)}
    labelled = load_labelled_queries(REPOSITORY / "sample/queries.jsonl", documents)
    asked = [Asked(each.query, frozenset(position_of[id] for id in each.relevant)) for each in labelled]
    return RetrievalSet("sample", documents, asked, [[] for _ in documents])
