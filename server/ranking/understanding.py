"""Turns what a user typed into what is searched."""

from typing import NamedTuple

from server.attributes.filter import Filter
from server.encoding.normalisation import normalised
from server.ranking.corpus import Searched
from server.ranking.options import Mode
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

    @property
    def read(self) -> str:
        """The typed text, or the reading that replaced it. Rules of merchandising are matched with it."""
        return self.reading.text if self.reading else self.typed


def reading_of(typed: str, state: Searched, *, filter: Filter | None = None) -> Reading | None:
    """Returns the reading that should replace a query, as the catalogue and its texts that match the filter suggest."""
    reading = Interpreter(CatalogueVocabulary(state, filter, typed=typed)).interpret(typed)
    return reading and reading._replace(text=normalised(reading.text))


def uninterpreted(typed: str, reading: Reading | None = None) -> Understood:
    """Returns a normalised query, or the reading that replaces it, without synonyms and corrections of its words."""
    text = reading.text if reading else typed
    return Understood(typed, reading, None, text, text)


def understand(typed: str, reading: Reading | None, state: Searched, mode: Mode, *, language: str = "") -> Understood:
    """Returns how a normalised query, or the reading that replaces it, is searched by the rules of a state.

    The language code, which may be empty, selects rules of synonyms.
    """
    understood = uninterpreted(typed, reading)
    corpus = state.corpus()
    expansion = state.rules.synonyms.expand(understood.text, language=language or None)
    if expansion is not None:
        # A query that a title begins with needs no better phrase: its documents must not sink below others.
        if not any(corpus.titles(understood.text)):
            understood = understood._replace(text=normalised(expansion.rewritten(corpus.statistics.documents_with)))
        return understood._replace(expansion=expansion, words=expansion.lexical)
    if mode is not Mode.DENSE:
        understood = understood._replace(words=corpus.statistics.respelled(understood.words))
    return understood
