"""Data sets to measure retrieval on: documents, queries, and the documents that answer each query."""

import json
import random
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from export.labelled_queries import LabelledQuery, load_labelled_queries
from export.quality.corpus import SAMPLE, Corpus, read_beir
from server.catalogue.catalogue import load_catalogue
from server.catalogue.document import Document

MOST_EXAMPLES = 10
"""Limit of example queries per document."""


class Asked(NamedTuple):
    """A query, and the positions of the documents that answer it."""

    query: str
    relevant: frozenset[int]


class RetrievalSet(NamedTuple):
    """Documents and labelled queries.

    Attributes:
        name: The set and its split.
        documents: The documents.
        asked: The labelled queries.
        examples: For each document, training queries that it answers, drawn with a fixed seed. None is in `asked`.
    """

    name: str
    documents: list[Document]
    asked: list[Asked]
    examples: list[list[str]]


def beir_set(directory: Path, split: str) -> RetrievalSet:
    """Reads a set in BEIR's layout; examples come from its split `train`.

    Raises:
        ExportError: A file is missing or malformed.
        CatalogueError: A line of a JSONL file is invalid.
    """
    corpus = _whole(directory, split)
    asked = _asked(corpus.queries, corpus.documents)
    examples: list[list[str]] = [[] for _ in corpus.documents]
    if split != "train" and (directory / "qrels/train.tsv").is_file():
        known = {each.query for each in asked}
        places: dict[str, list[int]] = defaultdict(list)
        for place, line in enumerate((directory / "queries.jsonl").read_text(encoding="utf-8").splitlines()):
            places[json.loads(line)["text"]].append(place)
        training = _asked(_whole(directory, "train").queries, corpus.documents)
        training.sort(key=lambda each: places[each.query].pop(0))  # In the order of the file.
        random.Random(0).shuffle(training)
        for each in training:
            for position in each.relevant:
                if each.query not in known and len(examples[position]) < MOST_EXAMPLES:
                    examples[position].append(each.query)
    return RetrievalSet(f"{directory.name}, {split}", corpus.documents, asked, examples)


def sample_set() -> RetrievalSet:
    """Reads the sample catalogue and its labelled queries."""
    documents = load_catalogue(SAMPLE / "catalogue.jsonl")
    asked = _asked(load_labelled_queries(SAMPLE / "queries.jsonl", documents), documents)
    return RetrievalSet("sample", documents, asked, [[] for _ in documents])


def _whole(directory: Path, split: str) -> Corpus:
    """Reads a whole set."""
    return read_beir(directory, split=split, max_queries=sys.maxsize, max_documents=sys.maxsize)


def _asked(queries: Sequence[LabelledQuery], documents: Sequence[Document]) -> list[Asked]:
    position_of = {document.id: position for position, document in enumerate(documents)}
    return [Asked(each.query, frozenset(position_of[id] for id in each.relevant)) for each in queries]
