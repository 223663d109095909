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


class Negative(NamedTuple):
    """A text that does not answer a query, and the group of its document."""

    text: Text
    group: str


class Pair(NamedTuple):
    """A query and a document that answers it.

    Attributes:
        query: The query, as the encoder's input.
        answers: The titles and texts of the document; each epoch takes the next one.
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
    return [
        Pair(
            query=(normalised(each.text), TextKind.QUERY),
            # Each document begins with another text, so that an epoch has all kinds.
            answers=(own := texts[id])[number % len(own) :] + own[: number % len(own)],
            relevant=frozenset(groups[relevant] for relevant in each.grades),
            negatives=tuple((negatives or {}).get(each.text, ())),
        )
        for number, each in enumerate(labels)
        for id in each.grades
    ]
