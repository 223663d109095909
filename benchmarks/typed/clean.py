"""Queries without slips: the sample's, and those of sets in BEIR's layout. A server must not misread them."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from benchmarks.typed.measuring import MODES, Answer, recall_of, search_all
from export.labelled_queries import LabelledQuery, load_labelled_queries
from export.quality.corpus import read_beir
from server.catalogue.document import Document

MOST_LOSS = 0.002
"""R@1 that a language of a set may lose in each mode because queries are interpreted."""

MOST_INTERPRETED = 0.001
"""Share of the queries of a set that may be interpreted."""


class CleanSet(NamedTuple):
    """Documents, as a file for the server, and labelled queries.

    `has_slips`: whether some queries do have slips, so that an interpretation may be right.
    """

    name: str
    catalogue: Path
    queries: list[LabelledQuery]
    has_slips: bool


class CleanRow(NamedTuple):
    """The queries of a set in one language, searched in one mode.

    Attributes:
        catalogue: Name of the set whose catalogue is searched.
        as_typed: R@k by k with `interpret` off; None if the catalogue has no answers.
        recall: The same with `interpret` on.
        interpreted: Number of queries that were interpreted.
        has_slips: Whether some queries do have slips, so that an interpretation may be right.
    """

    name: str
    catalogue: str
    mode: str
    queries: int
    as_typed: Mapping[int, float] | None
    recall: Mapping[int, float] | None
    interpreted: int
    has_slips: bool

    @property
    def loss(self) -> float | None:
        """R@1 that is lost because queries are interpreted."""
        return self.as_typed[1] - self.recall[1] if self.as_typed and self.recall else None

    @property
    def missed(self) -> list[str]:
        """The targets that it misses, one sentence each."""
        found = []
        if self.loss is not None and self.loss > MOST_LOSS:
            found.append(f"{self.name}: {self.mode} loses {self.loss:.4f} R@1 by interpretations, above {MOST_LOSS}")
        if not self.has_slips and self.interpreted > MOST_INTERPRETED * self.queries:
            found.append(
                f"{self.name}: with the catalogue of {self.catalogue}, {self.interpreted} of {self.queries} queries "
                f"are interpreted, above {MOST_INTERPRETED:.1%}"
            )
        return found


def sample_set(catalogue: Path, queries: Path, documents: Sequence[Document]) -> CleanSet:
    """Reads the sample's labelled queries. Raises CatalogueError."""
    return CleanSet("sample", catalogue, load_labelled_queries(queries, documents), has_slips=True)


def beir_set(directory: Path, *, folder: Path) -> CleanSet:
    """Reads a set in BEIR's layout, and writes its documents as a catalogue into `folder`.

    Raises:
        ExportError: A file is missing or malformed.
        CatalogueError: A line of a JSONL file is invalid.
    """
    corpus = read_beir(directory, max_queries=sys.maxsize, max_documents=sys.maxsize)
    catalogue = folder / f"{directory.name}.jsonl"
    catalogue.write_bytes(b"".join(msgspec.json.encode(document) + b"\n" for document in corpus.documents))
    return CleanSet(directory.name, catalogue, corpus.queries, has_slips=False)


def clean_rows(chosen: CleanSet, address: str) -> list[CleanRow]:
    """Searches the queries of a set on a server with its catalogue, with and without interpretations."""
    texts = [each.query for each in chosen.queries]
    as_typed, found = search_all(address, texts, interpret=False), search_all(address, texts)
    rows = []
    for language in dict.fromkeys(each.language for each in chosen.queries):
        asked = [each for each in chosen.queries if each.language == language]
        name = f"{chosen.name}, {language}" if chosen.has_slips else chosen.name
        for mode in MODES:
            off, on = (_recall(asked, answers[mode]) for answers in (as_typed, found))
            interpreted = sum(found[mode][each.query].interpreted for each in asked)
            rows.append(CleanRow(name, chosen.name, mode, len(asked), off, on, interpreted, chosen.has_slips))
    return rows


def misread_row(chosen: CleanSet, address: str, *, catalogue: str) -> CleanRow:
    """Counts the interpretations of a set's queries on a server with the catalogue of another set, given by name."""
    found = search_all(address, [each.query for each in chosen.queries], modes=["DENSE"])["DENSE"]
    interpreted = sum(answer.interpreted for answer in found.values())
    return CleanRow(chosen.name, catalogue, "DENSE", len(found), None, None, interpreted, chosen.has_slips)


def _recall(asked: Sequence[LabelledQuery], answers: Mapping[str, Answer]) -> dict[int, float]:
    return recall_of([(answers[each.query], frozenset(each.relevant)) for each in asked])
