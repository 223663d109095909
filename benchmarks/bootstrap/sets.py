"""Documents without examples, real queries to search for, and examples of people to compare with."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from export.evaluation.judged import JudgedQuery, taught
from export.evaluation.reading import read_beir_set, read_catalogue_set
from export.quality.corpus import SAMPLE
from server.catalogue.document import Document

EXAMPLES_PER_DOCUMENT = 10


class RealSet(NamedTuple):
    """A set to measure on.

    Attributes:
        name: The set and its split.
        documents: The documents, without examples.
        queries: Real queries, which nothing else uses.
        people: The name of the examples of people, and each example with the id of its document.
    """

    name: str
    documents: Sequence[Document]
    queries: Sequence[JudgedQuery]
    people: tuple[str, Sequence[tuple[str, str]]]


def sample_set() -> RealSet:
    """Reads the sample's catalogue and queries. Its own examples are those of people."""
    judged = read_catalogue_set(SAMPLE / "catalogue.jsonl", SAMPLE / "queries.jsonl")
    people = [(example, each.id) for each in judged.documents for example in each.examples]
    return RealSet("sample", _bare(judged.documents), judged.queries, ("the catalogue's examples", people))


def beir_set(directory: Path, split: str) -> RealSet:
    """Reads a set in BEIR's layout. Queries of `train` are the examples of people, at most 10 of a document.

    Raises:
        ExportError: A file is missing or malformed.
        CatalogueError: A JSONL file has an invalid line.
    """
    judged = read_beir_set(directory, split=split, labels="train")
    with_labels = taught(judged.documents, judged.labels, per_document=EXAMPLES_PER_DOCUMENT)
    people = [(example, each.id) for each in with_labels for example in each.examples]
    return RealSet(judged.name, _bare(judged.documents), judged.queries, ("training queries", people))


def by_document(pairs: Sequence[tuple[str, str]]) -> dict[str, list[int]]:
    """Returns for each document the numbers of its pairs."""
    found = defaultdict(list)
    for number, (_, id) in enumerate(pairs):
        found[id].append(number)
    return dict(found)


def _bare(documents: Sequence[Document]) -> list[Document]:
    return [msgspec.structs.replace(each, examples=[]) for each in documents]
