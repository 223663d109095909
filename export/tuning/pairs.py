"""The pairs to train with: a query, and a text of a document that answers it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from export.evaluation.judged import JudgedQuery
from export.evaluation.systems.terms import words
from server.catalogue.document import Document
from server.encoding.kind import TextKind
from server.encoding.normalisation import normalised
from server.encoding.passages import Text, encodables_of

MOST_QUERIES = 8
"""Most other queries of a document that a query is trained to find."""


class Negative(NamedTuple):
    """A text that does not answer a query, and the group of its document."""

    text: Text
    group: str


class Pair(NamedTuple):
    """A query and a document that answers it.

    Attributes:
        query: The query, as the encoder's input.
        answers: Titles and texts of the document in turn with its other queries; each epoch takes the next one.
        relevant: The groups of all documents that answer the query.
        negatives: Texts that do not answer it.
    """

    query: Text
    answers: tuple[Text, ...]
    relevant: frozenset[str]
    negatives: tuple[Negative, ...] = ()

    def answer(self, epoch: int) -> Text:
        """Returns the text to train with in an epoch."""
        return self.answers[epoch % len(self.answers)]


def groups_of(documents: Sequence[Document]) -> dict[str, str]:
    """Returns the group of each document by id: documents with the same first title are one group."""
    first: dict[str, str] = {}
    found = {}
    for each in documents:
        title = each.title_in("")
        found[each.id] = first.setdefault(" ".join(words([title])[0]), each.id) if title else each.id
    return found


def trained_texts(document: Document, title_separator: str | None) -> tuple[Text, ...]:
    """Returns the titles and texts of a document; its example queries if it has nothing else."""
    texts = [(each.text, each.kind) for each in encodables_of(document, title_separator)]
    own = [text for text, kind in texts if kind is not TextKind.EXAMPLE]
    return tuple(own or [text for text, _ in texts])


def make_pairs(
    labels: Sequence[JudgedQuery],
    documents: Sequence[Document],
    *,
    title_separator: str | None,
    negatives: Mapping[str, Sequence[Negative]] | None = None,
) -> list[Pair]:
    """Returns a pair for each label and each document that answers it.

    Args:
        labels: The labels.
        documents: All documents.
        title_separator: As for `encodables_of`.
        negatives: The hard negatives of each query, by its text.
    """
    groups = groups_of(documents)
    texts = {each.id: trained_texts(each, title_separator) for each in documents}
    asked = {each.id: [normalised(example) for example in each.examples] for each in documents}
    for label in labels:
        for id in label.grades:
            asked[id].append(normalised(label.text))
    return [
        Pair(
            query=((query := normalised(label.text)), TextKind.QUERY),
            answers=_answers(texts[id], [each for each in asked[id] if each != query], number),
            relevant=frozenset(groups[relevant] for relevant in label.grades),
            negatives=tuple((negatives or {}).get(label.text, ())),
        )
        for number, label in enumerate(labels)
        for id in label.grades
    ]


def _answers(texts: Sequence[Text], queries: Sequence[str], number: int) -> tuple[Text, ...]:
    """Returns the texts of a document in turn with others of its queries, which are searched as its example queries.

    The number of the label decides what is first, so that an epoch has all of them.
    """
    turns = max(len(texts), min(MOST_QUERIES, len(queries)))
    answers: list[Text] = []
    for turn in range(number // 2, number // 2 + turns):
        answers.append(texts[turn % len(texts)])
        if queries:
            answers.append((queries[turn % len(queries)], TextKind.EXAMPLE))
    return tuple(answers[1:] + answers[:1] if number % 2 else answers)
