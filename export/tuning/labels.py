"""The labelled queries of a training, apart from the queries that judge it."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from export.beir import BeirDirectory
from export.errors import ExportError
from export.evaluation.judged import JudgedQuery, Pool
from export.evaluation.reading import labelled, queries_of, some
from export.evaluation.systems.terms import words
from server.catalogue.catalogue import load_catalogue
from server.catalogue.document import Document

MOST_DEVELOPMENT = 500
"""Most queries that decide when the training ends."""

LEAST_DEVELOPMENT = 20

FEWEST_LABELS = 4

SHOWN_CHARACTERS = 40


@dataclass(frozen=True, kw_only=True)
class Labels:
    """Documents, the queries that judge, and the labels to train with. No query is in both lists.

    Attributes:
        documents: The documents.
        judged: The queries that judge. Nothing is trained or chosen with them.
        labels: The queries to train with, in an order that depends on the seed only, each once.
        name: Name of the labels.
        notes: What was left out, one sentence each.
    """

    documents: Sequence[Document]
    judged: Pool
    labels: Sequence[JudgedQuery]
    name: str
    notes: Sequence[str]

    def first(self, count: int) -> Labels:
        """Returns the same with the first labels only. More labels contain fewer ones."""
        return replace(self, labels=self.labels[:count])


@dataclass(frozen=True, kw_only=True)
class Parts:
    """Labels, divided: `training` ones are learnt, `development` ones decide which state of the model is kept."""

    training: Sequence[JudgedQuery]
    development: Sequence[JudgedQuery]


def read_labels(
    *,
    directory: Path | None,
    split: str | None,
    catalogue: Path | None,
    queries: Path | None,
    labels: str,
    most_judged: int | None,
    per_document: int | None,
    drop_leaks: bool,
    seed: int,
) -> Labels:
    """Reads a directory in BEIR's layout, or a catalogue with two files of labelled queries.

    Args:
        directory: The directory; None for a catalogue.
        split: Its split that judges; None takes test, else dev, validation, train.
        catalogue: The file of documents.
        queries: The file of queries that judge.
        labels: The split or the file of labels.
        most_judged: Maximum queries that judge; None for all.
        per_document: Maximum labels of a document; None for all.
        drop_leaks: Whether labels that are also judged queries are left out; otherwise they are an error.
        seed: Decides the order of the labels.

    Raises:
        ExportError: A file cannot be used, a label is also a judged query, or there are too few labels.
        CatalogueError: A file has an invalid line; the error names file and line.
    """
    if directory is not None:
        read = BeirDirectory(directory)
        reported = read.split(split)
        if read.split(labels) == reported:
            raise ExportError(f"--labels {labels} is the split that judges: set --split to another one")
        documents = read.usable
        judged = Pool(name=f"{directory.name}, {reported}", queries=queries_of(read, reported))
        train = Pool(name=labels, queries=queries_of(read, labels))
    else:
        assert catalogue is not None
        assert queries is not None
        documents = load_catalogue(catalogue)
        judged = Pool(name=queries.name, queries=labelled(queries, documents))
        train = Pool(name=Path(labels).name, queries=labelled(Path(labels), documents))
    for pool in (judged, train):
        if not pool.queries:
            raise ExportError(f"{pool.name} has no query with a relevant document")
    merged, notes = _without_leaks(train, judged, drop=drop_leaks)
    random.Random(seed).shuffle(merged)  # noqa: S311  a sample, not a secret
    chosen = merged if per_document is None else _at_most(merged, per_document)
    check_labels(chosen, train.name)
    return Labels(
        documents=documents,
        judged=replace(judged, queries=some(list(judged.queries), most_judged)),
        labels=chosen,
        name=train.name,
        notes=notes,
    )


def parted(labels: Sequence[JudgedQuery], *, share: float) -> Parts:
    """Divides labels: the last `share` of them is the development part, at least 20 and at most 500 queries.

    It is never more than half.
    """
    count = min(MOST_DEVELOPMENT, max(LEAST_DEVELOPMENT, round(share * len(labels))), len(labels) // 2)
    return Parts(training=labels[: len(labels) - count], development=labels[len(labels) - count :])


def without_case_and_punctuation(text: str) -> str:
    """Returns a query without differences of case, width, spaces and punctuation; two with the same form are one."""
    return "".join(words([text])[0]) or text


def without_examples(documents: Sequence[Document], queries: Iterable[JudgedQuery]) -> list[Document]:
    """Returns the documents without examples that are also one of the queries, which would find themselves.

    A document that has nothing else keeps its examples.
    """
    known = {without_case_and_punctuation(each.text) for each in queries}
    found = []
    for each in documents:
        examples = [example for example in each.examples if without_case_and_punctuation(example) not in known]
        changed = len(examples) < len(each.examples) and (examples or each.title or each.text)
        found.append(msgspec.structs.replace(each, examples=examples) if changed else each)
    return found


def _without_leaks(train: Pool, judged: Pool, *, drop: bool) -> tuple[list[JudgedQuery], list[str]]:
    """Returns the labels that judge nothing, each once, with all documents that answer it; and notes."""
    known = {without_case_and_punctuation(each.text) for each in judged.queries}
    leaks = [each for each in train.queries if without_case_and_punctuation(each.text) in known]
    if leaks and not drop:
        raise ExportError(
            f"{len(leaks):,} labels of {train.name} are also queries of {judged.name}, such as "
            f"{leaks[0].text[:SHOWN_CHARACTERS]!r}: what was learnt cannot judge; remove them, or set --drop-leaks"
        )
    of_form: dict[str, list[JudgedQuery]] = defaultdict(list)
    for each in train.queries:
        if (form := without_case_and_punctuation(each.text)) not in known:
            of_form[form].append(each)
    notes = [f"left out of {train.name}: {len(leaks):,} labels that are also queries of {judged.name}"] if leaks else []
    merged = []
    contradictory = 0
    for same in of_form.values():
        grades = {id: grade for each in same for id, grade in each.grades.items()}
        contradictory += any(each.grades.keys() != grades.keys() for each in same)
        merged.append(replace(same[0], grades=grades))
    if contradictory:
        notes.append(f"{contradictory:,} queries of {train.name} occur with different documents: all of them count")
    return merged, notes


def _at_most(labels: Sequence[JudgedQuery], count: int) -> list[JudgedQuery]:
    """Returns the labels without those whose documents all have `count` before."""
    having: dict[str, int] = defaultdict(int)
    kept = []
    for each in labels:
        if any(having[id] < count for id in each.grades):
            kept.append(each)
            for id in each.grades:
                having[id] += 1
    return kept


def check_labels(labels: Sequence[JudgedQuery], name: str) -> None:
    """Raises ExportError if there is too little to train with."""
    if len(labels) < FEWEST_LABELS:
        raise ExportError(f"{name} has {len(labels)} labels to train with: at least {FEWEST_LABELS} are needed")
    if len({id for each in labels for id in each.grades}) < 2:
        raise ExportError(f"all labels of {name} are of one document: there is nothing to distinguish")
