"""The texts that are offered while one is typed: titles and example queries of documents, and phrases of synonyms."""

import math

from server.catalogue.document import Document
from server.catalogue.partial import Fields
from server.suggest.completion import Completion, Source
from server.suggest.index import SuggestIndex
from server.synonyms.rule import Rule
from server.synonyms.table import SynonymTable

POPULARITY = "popularity"
"""The attribute whose number orders the completions that fit a typed text equally well."""

COMPLETED = Fields(frozenset({"title", "examples", "attributes"}), frozenset({POPULARITY}))
"""The fields that completions are made of."""

LONGEST = 1000
"""Most characters of a completion: a longer text is no suggestion, and by default too long a query."""

HEAVIEST = 3e38
"""Largest weight; float32 holds it."""


def completions_of(document: Document, *, demand: float = 0.0) -> list[Completion]:
    """Returns the completions of a document, each with the document's weight and demand."""
    weight = _weight(document)
    titles = [Completion(text, Source.TITLE, language, weight, demand) for language, text in document.titles().items()]
    examples = [Completion(text, Source.EXAMPLE, "", weight, demand) for text in document.examples]
    return [each for each in titles + examples if len(each.text) <= LONGEST]


class SynonymCompletions:
    """The completions of a table of synonyms. Each rule has a slot below 0, since it belongs to no document."""

    def __init__(self) -> None:
        self._slots: dict[str, int] = {}
        self._last_slot = 0

    def follow(self, table: SynonymTable, suggestions: SuggestIndex) -> None:
        """Adds the completions of rules that are new in a table, and removes those of rules that it lacks."""
        gone = self._slots.keys() - table.by_id.keys()
        if gone:
            suggestions.remove([self._slots.pop(id) for id in gone])
        new = [(id, rule) for id, rule in table.by_id.items() if id not in self._slots]
        for id, _ in new:
            self._last_slot -= 1
            self._slots[id] = self._last_slot
        suggestions.add((self._slots[id], _completions_of_rule(rule)) for id, rule in new)


def _completions_of_rule(rule: Rule) -> list[Completion]:
    return [Completion(phrase, Source.SYNONYM, rule.language) for phrase in rule.phrases]


def _weight(document: Document) -> float:
    """Returns the document's popularity; 0 if it has none, or none that is a finite number."""
    value = document.attributes.get(POPULARITY)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return 0.0
    return min(max(float(value), -HEAVIEST), HEAVIEST)
