"""Turns what a user typed into what is searched."""

from typing import NamedTuple

from server.attributes.filter import Filter
from server.encoding.normalisation import normalised
from server.ranking.state import State
from server.ranking.vocabulary import CatalogueVocabulary
from server.readings.interpreter import Interpreter
from server.readings.reading import Reading
from server.synonyms.expansion import Expansion


class Understood(NamedTuple):
    """A query as it is searched.

    Attributes:
        typed: What the user typed, normalised.
        reading: The reading that replaced it; None if nothing did.
        expansion: What rules of synonyms add to what was typed, or to the reading; None if they add nothing.
        text: The text that is encoded and compared with titles.
        words: The text whose words are searched and highlighted; misspelled ones may be replaced.
    """

    typed: str
    reading: Reading | None
    expansion: Expansion | None
    text: str
    words: str


def reading_of(typed: str, state: State, *, filter: Filter | None) -> Reading | None:
    """Returns the reading that should replace a query, as the catalogue and its texts that match the filter suggest."""
    reading = Interpreter(CatalogueVocabulary(state, filter)).interpret(typed)
    return reading and reading._replace(text=normalised(reading.text))


def understand(typed: str, reading: Reading | None, expansion: Expansion | None, state: State) -> Understood:
    """Returns how a normalised query is searched, or the reading that replaces it, with its expansion."""
    if expansion is None:
        text = reading.text if reading else typed
        return Understood(typed, reading, None, text, text)
    text = normalised(expansion.rewritten(state.lexical.documents_with))
    return Understood(typed, reading, expansion, text, expansion.lexical)
