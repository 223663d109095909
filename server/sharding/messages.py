"""The messages to a shard, and its answers, which can be pickled. A shard answers a request with its corpus."""

import dataclasses
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from server.attributes.facets import PartCounts
from server.attributes.filter import Filter
from server.attributes.warnings import Attributes
from server.lexical.statistics import QueryTerms, Totals
from server.lexical.titles import TitleHits, TitleMatches
from server.merchandising.rule import Boost
from server.ranking.corpus import Burying, LegsQuery, Moved, Similarity
from server.ranking.local import LocalCorpus
from server.suggest.merging import Placed

SYNONYM_SEQUENCE = 2**63 - 1
"""The sequence of suggestions of synonyms, which belong to no document: they follow equal ones of documents."""


class Request(Protocol):
    """A request to a shard."""

    def answer(self, corpus: LocalCorpus) -> Any:
        """Returns the shard's answer."""


class Question(NamedTuple):
    """Requests to one state of a shard, and the filter of its documents."""

    sequence: int
    filter: Filter | None
    requests: tuple[Request, ...]


class TermCounts(NamedTuple):
    """The number of documents with each term, and of all documents."""

    counts: NDArray[np.int64]
    totals: Totals


class CountTerms(NamedTuple):
    """Asks how many documents have terms."""

    terms: NDArray[np.uint64]

    def answer(self, corpus: LocalCorpus) -> TermCounts:
        """Counts the documents."""
        return TermCounts(corpus.lexical.counts_of(self.terms), corpus.lexical.totals)


class PartSimilarities(NamedTuple):
    """The similarities of documents of a shard: the sequence of each, the ordinal of its best vector, and the score."""

    sequences: NDArray[np.int64]
    parts: NDArray[np.int32]
    scores: NDArray[np.float64]

    @classmethod
    def of(cls, found: Collection[Similarity]) -> Self:
        """Returns similarities as arrays."""
        sequences = np.array([each.sequence for each in found], np.int64)
        parts = np.array([each.part for each in found], np.int32)
        return cls(sequences, parts, np.array([each.score for each in found], np.float64))


class PartLegs(NamedTuple):
    """The best documents of the legs of a shard, best first.

    `titles` has sequences instead of slots; None if titles were not compared.
    """

    dense: PartSimilarities
    lexical: NDArray[np.int64]
    lexical_scores: NDArray[np.float64]
    titles: TitleMatches | None
    respelled: bool


class FindLegs(NamedTuple):
    """Asks for the best documents. Queries that are not `real` do not count for the recall of the graph."""

    query: LegsQuery
    real: bool = True

    def answer(self, corpus: LocalCorpus) -> PartLegs:
        """Searches the shard."""
        if not self.real:
            corpus = dataclasses.replace(corpus, dense=dataclasses.replace(corpus.dense, observe=None))
        found, titles = corpus.find_parts(self.query)
        return PartLegs(
            PartSimilarities.of(found.dense),
            np.array([each.sequence for each in found.lexical], np.int64),
            np.array([each.score for each in found.lexical], np.float64),
            titles,
            found.respelled,
        )


class CompareVectors(NamedTuple):
    """Asks for the similarities of documents. A shard answers for those that it has."""

    vector: NDArray[np.float32]
    sequences: NDArray[np.int64]

    def answer(self, corpus: LocalCorpus) -> PartSimilarities:
        """Compares the documents' vectors."""
        return PartSimilarities.of(corpus.similarities(self.vector, self.sequences.tolist()).values())


class ScoreWords(NamedTuple):
    """Asks for the scores by words of documents. A shard answers for those that it has."""

    terms: QueryTerms
    sequences: NDArray[np.int64]

    def answer(self, corpus: LocalCorpus) -> dict[int, float]:
        """Scores the documents."""
        return corpus.lexical_scores(self.terms, self.sequences.tolist())


class FindTitles(NamedTuple):
    """Asks whether a title equals a text, or begins with it."""

    text: str

    def answer(self, corpus: LocalCorpus) -> TitleHits:
        """Looks the text up."""
        return corpus.titles(self.text)


class Complete(NamedTuple):
    """Asks for suggestions, or only for those that fit on the own layout and without errors."""

    typed: str
    limit: int
    language: str | None = None
    ranges: bool = False
    exact: bool = False

    def answer(self, corpus: LocalCorpus) -> list[Placed]:
        """Completes the text."""
        return [
            Placed(part, int(corpus.slots.sequences[part.suggestion.slot]), corpus.ids[part.suggestion.slot])
            for part in corpus.suggestions.parts(
                self.typed,
                limit=self.limit,
                allowed=corpus.completed,
                language=self.language,
                ranges=self.ranges,
                exact=self.exact,
            )
        ]


class FindMoved(NamedTuple):
    """Asks which pinned documents may be found, and whether any document is buried."""

    pinned: tuple[int, ...]
    burying: Burying

    def answer(self, corpus: LocalCorpus) -> Moved:
        """Looks the documents up."""
        return corpus.moved(self.pinned, self.burying)


class FindBurials(NamedTuple):
    """Asks which rules bury documents."""

    burying: Burying
    sequences: NDArray[np.int64]

    def answer(self, corpus: LocalCorpus) -> NDArray[np.int8]:
        """Returns the places of the rules."""
        return np.array(corpus.burial_places(self.burying, self.sequences.tolist()), np.int8)


class FindBoosts(NamedTuple):
    """Asks for the values that boosts give to documents."""

    boosts: tuple[Boost, ...]
    sequences: NDArray[np.int64]
    seconds: int

    def answer(self, corpus: LocalCorpus) -> NDArray[np.float64]:
        """Returns the values; those of other shards' documents are 0."""
        return corpus.boost_values(self.boosts, self.sequences.tolist(), seconds=self.seconds)


class PartSummary(NamedTuple):
    """The types of attributes, and the counts of all values of facets."""

    attributes: Attributes
    facets: list[PartCounts | None]


class Summarize(NamedTuple):
    """Asks for the types of attributes and the counts of facets."""

    asked: Sequence[str]
    facets: Sequence[str]

    def answer(self, corpus: LocalCorpus) -> PartSummary:
        """Looks the attributes up, and counts the facets."""
        return PartSummary(corpus.attributes(self.asked), corpus.facet_parts(self.facets))
