"""The statistics of terms that BM25 and readings need: those of one index, or sums over several."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from server.lexical.respelling import respelled
from server.lexical.tokens import CODE_POINT_BITS, WORD_MARK, code_of_word, terms_of

SATURATION = 4.0
"""BM25's k1: the larger it is, the later the frequency of a term saturates. It is far above the usual 0.9 to 1.2,
because bigrams are many and each says little. Chosen, like LENGTH_WEIGHT, on training questions (docs/search.md)."""

LENGTH_WEIGHT = 0.7
"""BM25's b: how strongly scores are normalised by the length of a document."""

FIRST_HANGUL = 0x1100
"""The code point of the first letter of Hangul. Scripts without spaces between words have higher ones, too."""


class Totals(NamedTuple):
    """The number of documents, and the sum of their lengths in terms: a whole number."""

    documents: int
    length: float


class QueryTerms(NamedTuple):
    """The terms of a query, as BM25 scores documents with them.

    Attributes:
        terms: The terms, rarest first.
        most: The limit of each one's score as its frequency grows.
        slope: The part of the denominator that each term of a document adds.
    """

    terms: NDArray[np.uint64]
    most: NDArray[np.float32]
    slope: np.float32


class TermStatistics(ABC):
    """The number of live documents with each term, and what follows from it."""

    @property
    @abstractmethod
    def totals(self) -> Totals:
        """Returns the number of documents, and their length."""

    @abstractmethod
    def counts_of(self, terms: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Returns for each term how many documents have it."""

    def query_terms(self, query: str) -> QueryTerms:
        """Returns the terms of a query."""
        terms, times = np.unique(terms_of([query])[0], return_counts=True)
        documents, totals = self.counts_of(terms), self.totals
        rarity = np.log1p((totals.documents - documents + 0.5) / (documents + 0.5))
        order = np.argsort(documents, kind="stable")
        most = (times * rarity * (SATURATION + 1))[order].astype(np.float32)
        mean_length = max(totals.length / max(totals.documents, 1), 1.0)
        return QueryTerms(terms[order], most, np.float32(SATURATION * LENGTH_WEIGHT / mean_length))

    def has_terms(self, codes: Sequence[int]) -> list[bool]:
        """Returns for each code of a term whether a document has it."""
        has: list[bool] = (self.counts_of(np.array(codes, np.uint64)) > 0).tolist()
        return has

    def respelled(self, query: str) -> str:
        """Returns a query with misspelled words replaced by words of documents; see `respelling`."""
        return respelled(query, self.counts_of)

    def word_counts(self, words: Sequence[str]) -> list[int]:
        """Returns for each folded word how many documents have it as a whole."""
        counts: list[int] = self.counts_of(np.array([code_of_word(word) for word in words], np.uint64)).tolist()
        return counts

    def documents_with(self, texts: Sequence[str]) -> list[int]:
        """Returns for each text how many documents have its rarest term; 0 if it has no words.

        The terms are the pairs within words of Hangul, which have endings, and other words as a whole.
        """
        words = [(word, place) for place, text in enumerate(texts) for word in text.split()]
        terms, owners = terms_of([word for word, _ in words] or [""])
        low = np.minimum(terms >> np.uint64(CODE_POINT_BITS), terms & np.uint64(2**CODE_POINT_BITS - 1))
        hangul = (terms < WORD_MARK) & (low >= FIRST_HANGUL)
        in_pairs = np.bincount(owners[hangul], minlength=len(words)) > 0
        chosen = np.where(in_pairs[owners], hangul, terms >= WORD_MARK)
        documents = self.totals.documents
        rarest = np.full(len(texts), documents + 1)
        of_words = np.array([place for _, place in words], np.int64)
        np.minimum.at(rarest, of_words[owners[chosen]], self.counts_of(terms[chosen]))
        return [count if count <= documents else 0 for count in rarest.tolist()]
