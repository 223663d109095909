"""Judged sets: documents, the queries that are reported, and apart from them queries to tune with and labels."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from export.errors import ExportError
from server.catalogue.document import Document
from server.encoding.normalisation import normalised

TUNING_QUERIES = 500
"""Most queries that BM25 is tuned on."""

SEED = 0


@dataclass(frozen=True, kw_only=True)
class JudgedQuery:
    """A query, and the documents that answer it.

    Attributes:
        text: The query.
        language: Its language code, in canonical form; "other" if neither a label nor its letters say it.
        grades: How well each document answers it, by id, 1 or more. All other documents have the grade 0.
        kind: The rule that made it; empty for a query of a person.
    """

    text: str
    language: str
    grades: Mapping[str, int]
    kind: str = ""

    @property
    def key(self) -> str:
        """The same text for two spellings of a query."""
        return normalised(self.text).casefold()


@dataclass(frozen=True, kw_only=True)
class Pool:
    """Queries with a name, such as those of a split."""

    name: str
    queries: Sequence[JudgedQuery]


@dataclass(frozen=True, kw_only=True)
class JudgedSet:
    """The data of an evaluation. No query occurs in two of its lists.

    Attributes:
        name: The set and its split.
        documents: The documents, without labels.
        queries: The queries that are reported.
        tuning: The queries that BM25 is tuned on; empty if there are none.
        labels: The queries that become example queries of the documents that answer them; empty without `--labels`.
        notes: How these lists were made, one sentence each.
    """

    name: str
    documents: Sequence[Document]
    queries: Sequence[JudgedQuery]
    tuning: Sequence[JudgedQuery] = ()
    labels: Sequence[JudgedQuery] = ()
    notes: Sequence[str] = ()


def judged_set(
    documents: Sequence[Document],
    reported: Pool,
    *,
    dev: Pool | None = None,
    train: Pool | None = None,
    with_labels: bool = False,
) -> JudgedSet:
    """Returns the set of these queries, each in one list only: reported before tuning, tuning before labels.

    Args:
        documents: The documents.
        reported: The queries that are reported.
        dev: Queries to tune with.
        train: Labels. Without `dev`, a part of them, drawn with a fixed seed, is for tuning.
        with_labels: Whether the others of `train` become example queries.

    Raises:
        ExportError: A list has no queries, or none that the others lack.
    """
    if not reported.queries:
        raise ExportError(f"{reported.name} has no query with a relevant document")
    notes: list[str] = []
    known = {each.key for each in reported.queries}
    tuning: Sequence[JudgedQuery] = ()
    labels = _others(train, known, notes) if train is not None else []
    if dev is not None:
        tuning = _drawn(_others(dev, known, notes), TUNING_QUERIES)
        notes.append(f"to tune BM25: {len(tuning):,} of {len(dev.queries):,} queries of {dev.name}")
    elif train is not None and len(labels) > 1:
        tuning = _drawn(labels, min(TUNING_QUERIES, len(labels) // 2))
        notes.append(
            f"to tune BM25: {len(tuning):,} of {len(labels):,} queries of {train.name}, drawn with seed {SEED}, "
            "which nothing else uses"
        )
    else:
        notes.append("to tune BM25: none, since all queries are reported")
    apart = {each.key for each in tuning}
    labels = [each for each in labels if each.key not in apart] if with_labels else []
    if with_labels and train is not None:
        if not labels:
            raise ExportError(f"{train.name} has no labels besides the queries of the other splits")
        notes.append(f"labels: {len(labels):,} queries of {train.name}")
    return JudgedSet(
        name=reported.name, documents=documents, queries=reported.queries, tuning=tuning, labels=labels, notes=notes
    )


def taught(documents: Sequence[Document], labels: Iterable[JudgedQuery], *, per_document: int) -> list[Document]:
    """Returns the documents with labels as further example queries, at most `per_document` each, drawn with a seed."""
    examples: dict[str, list[str]] = {}
    for each in _drawn(list(labels)):
        for id in each.grades:
            if len(added := examples.setdefault(id, [])) < per_document:
                added.append(each.text)
    return [
        msgspec.structs.replace(each, examples=[*each.examples, *examples[each.id]]) if each.id in examples else each
        for each in documents
    ]


def _others(pool: Pool, known: set[str], notes: list[str]) -> list[JudgedQuery]:
    """Returns the queries of a pool that are not reported, each once."""
    if not pool.queries:
        raise ExportError(f"{pool.name} has no query with a relevant document")
    others = {each.key: each for each in pool.queries if each.key not in known}
    if not others:
        raise ExportError(f"all queries of {pool.name} are reported: take other queries")
    if left_out := len(pool.queries) - len(others):
        notes.append(f"left out of {pool.name}: {left_out:,} queries that are reported or occur twice")
    return list(others.values())


def _drawn(queries: Sequence[JudgedQuery], count: int | None = None) -> list[JudgedQuery]:
    """Returns some of the queries, or all, in an order that depends on the seed only."""
    shuffle = random.Random(SEED)  # noqa: S311  a sample, not a secret
    return shuffle.sample(queries, len(queries) if count is None else min(count, len(queries)))
