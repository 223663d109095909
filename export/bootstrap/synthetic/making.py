"""Makes synthetic queries for the documents of a catalogue."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from export.bootstrap.synthetic.kinds import KINDS, Source
from export.bootstrap.synthetic.phrases import Distinctive, Phrases, phrases_by_rules
from export.labelled_queries import LabelledQuery
from server.catalogue.document import Document, Field, Part, parts_of
from server.encoding.normalisation import normalised
from server.lexical.tokens import fold
from server.ranking.language import language_of

OTHER = "other"
"""Language of a query whose letters do not say it."""

SHORTEST, LONGEST = 2, 100
"""Characters of the shortest query, without spaces, and of the longest."""


class SyntheticQuery(NamedTuple):
    """A query that a rule has made for a document.

    Attributes:
        text: The query, in one line.
        kind: The name of the rule.
        language: The code of its language.
        document_id: The document that it is to find.
    """

    text: str
    kind: str
    language: str
    document_id: str

    @property
    def labelled(self) -> LabelledQuery:
        """The form in which `evaluate` reads it."""
        return LabelledQuery(query=self.text, language=self.language, relevant=[self.document_id], kind=self.kind)

    @property
    def key(self) -> str:
        """The same text for queries that differ in case, width and spaces only."""
        return without_case_and_spaces(self.text)


def without_case_and_spaces(text: str) -> str:
    """Returns the same text for all spellings of a query that differ in case, width and spaces only."""
    return "".join(fold(text).split())


def synthetic_queries(
    documents: Sequence[Document],
    kinds: Iterable[str],
    *,
    most: int,
    phrases: Phrases = phrases_by_rules,
) -> list[SyntheticQuery]:
    """Returns queries of these kinds, at most `most` of a kind for each title and text.

    They are in the order of the documents, of the parts and of the kinds. A kind has no query twice for a document.
    """
    by_document = [(each, [part for part in parts_of(each) if _is_source(part)]) for each in documents]
    distinctive = Distinctive("\n".join(part.text for part in parts) for _, parts in by_document)
    found: dict[tuple[str, str, str], SyntheticQuery] = {}
    for document, parts in by_document:
        for part in parts:
            source = Source(part.text, _language(part) == "ko", phrases, distinctive, most)
            for name in kinds:
                kind = KINDS[name]
                if kind.of_titles is not (part.field is Field.TITLE):
                    continue
                usable = [text for text in map(normalised, kind.make(source)) if _is_usable(text)]
                for text in usable[:most]:
                    query = SyntheticQuery(text, name, _language(part), document.id)
                    found.setdefault((document.id, name, query.key), query)
    return list(found.values())


def _language(part: Part) -> str:
    """Returns the language of a part by its letters: a code that people wrote may be missing or wrong."""
    return language_of(part.text) or part.language_code or OTHER


def _is_source(part: Part) -> bool:
    return part.field is not Field.EXAMPLE and any(map(str.isalpha, part.text))


def _is_usable(text: str) -> bool:
    letters = "".join(text.split())
    return len(letters) >= SHORTEST and len(text) <= LONGEST and any(map(str.isalpha, letters))
