"""The completions of a document, which are offered while a text is typed: its titles and example queries."""

import math

from server.catalogue.document import Document
from server.catalogue.partial import Fields
from server.suggest.completion import Completion, Source

POPULARITY = "popularity"
"""The attribute whose number orders the completions that fit a typed text equally well."""

COMPLETED = Fields(frozenset({"title", "examples", "attributes"}), frozenset({POPULARITY}))
"""The fields that completions are made of."""

HEAVIEST = 3e38
"""Largest weight; float32 holds it."""


def completions_of(document: Document) -> list[Completion]:
    """Returns the completions of a document, each with the document's weight."""
    weight = _weight(document)
    titles = [Completion(text, Source.TITLE, language, weight) for language, text in document.titles().items()]
    return titles + [Completion(text, Source.EXAMPLE, "", weight) for text in document.examples]


def _weight(document: Document) -> float:
    """Returns the document's popularity; 0 if it has none, or none that is a finite number."""
    value = document.attributes.get(POPULARITY)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return 0.0
    return min(max(float(value), -HEAVIEST), HEAVIEST)
