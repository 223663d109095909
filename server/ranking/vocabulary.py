"""The vocabulary of a state of the index: the words of its documents, and the texts that complete a typed one."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

from server.attributes.filter import Filter
from server.lexical.tokens import code_of_pair, code_of_word, fold
from server.ranking.corpus import Searched
from server.readings.vocabulary import Completion

KNOWN_CODES = 2**14
"""Words whose codes are kept: the same ones are asked for again and again."""


class CatalogueVocabulary:
    """Implements `Vocabulary`. A reading shows texts of the catalogue, so only documents that match a filter have any.

    Words are those of all documents and of rules of synonyms: which ones there are decides readings, but shows no text.
    """

    def __init__(self, state: Searched, filter: Filter | None = None, *, typed: str = "") -> None:
        """Takes a state, a filter and the typed text, about whose words questions are expected."""
        self._corpus = state.corpus(filter)
        self._corpus.expect(typed)
        self._expand = state.rules.synonyms.expand

    def has_words(self, words: Sequence[str]) -> list[bool]:
        """Returns for each word whether a document has it as a whole word, or a rule of synonyms is for it."""
        has = self._corpus.statistics.has_terms([_code_of(word) for word in words])
        return [each or self._expand(word) is not None for word, each in zip(words, has, strict=True)]

    def document_counts(self, words: Sequence[str]) -> list[int]:
        """Returns for each word how many documents have it as a whole word."""
        return self._corpus.statistics.word_counts(words)

    def has_title(self, text: str) -> bool:
        """Returns whether a document that matches the filter has a text as its title."""
        return bool(self._corpus.titles(text).exact)

    def pair_shares(self, words: Sequence[str]) -> list[float]:
        """Returns for each word the share of its pairs of characters that documents have; 0 if it has none."""
        codes = [code_of_pair(first, second) for word in words for first, second in pairwise(word)]
        has = iter(self._corpus.statistics.has_terms(codes))
        return [sum(next(has) for _ in word[1:]) / max(len(word) - 1, 1) for word in words]

    def complete(self, text: str, *, limit: int) -> list[Completion]:
        """Returns the texts that fit one without errors, best first. The score falls with the place.

        They are titles, examples and, without a filter, phrases of synonyms.
        """
        found = self._corpus.complete(text, limit=limit)
        return [Completion(each, 1 / place) for place, each in enumerate(found, start=1)]


@lru_cache(KNOWN_CODES)
def _code_of(word: str) -> int:
    return code_of_word(fold(word))
