"""Queries without slips: the sample's, and those of sets in BEIR's layout. A server must not misread them."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from benchmarks.typed.measuring import Found, Row, recall_of
from export.labelled_queries import LabelledQuery, load_labelled_queries
from export.quality.corpus import read_beir
from server.catalogue.document import Document


class CleanSet(NamedTuple):
    """Documents, as a file for the server, and labelled queries."""

    name: str
    catalogue: Path
    queries: list[LabelledQuery]


def sample_set(catalogue: Path, queries: Path, documents: Sequence[Document]) -> CleanSet:
    """Reads the sample's labelled queries. Raises CatalogueError."""
    return CleanSet("sample", catalogue, load_labelled_queries(queries, documents))


def beir_set(directory: Path, *, folder: Path) -> CleanSet:
    """Reads a set in BEIR's layout, and writes its documents as a catalogue into `folder`.

    Raises:
        ExportError: A file is missing or malformed.
        CatalogueError: A line of a JSONL file is invalid.
    """
    corpus = read_beir(directory, max_queries=sys.maxsize, max_documents=sys.maxsize)
    catalogue = folder / f"{directory.name}.jsonl"
    catalogue.write_bytes(b"".join(msgspec.json.encode(document) + b"\n" for document in corpus.documents))
    return CleanSet(directory.name, catalogue, corpus.queries)


def clean_rows(chosen: CleanSet, found: Found) -> list[Row]:
    """Returns the recall of each language's queries in each mode."""
    rows = []
    for language in dict.fromkeys(each.language for each in chosen.queries):
        asked = [each for each in chosen.queries if each.language == language]
        for mode, hits in found.items():
            recall = recall_of([(hits[each.query], frozenset(each.relevant)) for each in asked])
            rows.append(Row(f"{chosen.name}, {language}", "", mode, len(asked), 0, recall, None))
    return rows
