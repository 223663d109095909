"""A corpus: the documents that one search ranks, those of one index or of several shards.

Searches see a corpus only through this interface, so that shards give the same answers as one index. Documents are
identified by the sequences of their versions, which ascend with the slots of an index. Each method asks all shards
once.
"""

import enum
from collections.abc import Sequence
from typing import NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from server.attributes.facets import FacetCounts
from server.attributes.filter import Equals, Filter
from server.attributes.warnings import Attributes
from server.lexical.statistics import QueryTerms, TermStatistics
from server.lexical.titles import TitleHits
from server.merchandising.rule import Boost
from server.ranking.baseline import Baseline
from server.ranking.query_rules import QueryRules
from server.suggest.completion import Suggestion

NOT_BURIED = -1
"""The place of the rule that buries a document, if none does."""


class Part(enum.Enum):
    """The part of a corpus that is searched."""

    ALL = "all"
    OTHERS = "others"
    """Documents that no rule buries."""
    BURIED = "buried"


class Burial(NamedTuple):
    """The documents that one rule buries: some versions, and those that meet a condition."""

    place: int
    sequences: tuple[int, ...]
    conditions: tuple[Equals, ...]


class Burying(NamedTuple):
    """The documents that rules bury, except for pinned ones; if several rules do, the one with the lowest place."""

    burials: tuple[Burial, ...]
    pinned: tuple[int, ...]


NOTHING_BURIED = Burying((), ())


class Candidate(NamedTuple):
    """A document of one list: its sequence and its score."""

    sequence: int
    score: float


class Similarity(NamedTuple):
    """The similarity of a document: that of its best vector, weighted by its field, and the vector's ordinal."""

    sequence: int
    part: int
    score: float


class LegsQuery(NamedTuple):
    """A query to the legs of a corpus.

    Attributes:
        limit: Number of documents of each leg.
        vector: The vector that the dense leg compares; None leaves the leg out.
        terms: The terms of the lexical leg; None leaves the leg out.
        title: The text that is compared with titles: of the documents of both legs, and of `limit` others of each kind.
        respelled: Another text of which only matters whether there is such a title.
        part: The part of the corpus that is searched.
        burying: The documents that are buried, if the part depends on that.
    """

    limit: int
    vector: NDArray[np.float32] | None = None
    terms: QueryTerms | None = None
    title: str = ""
    respelled: str = ""
    part: Part = Part.ALL
    burying: Burying | None = None


class LegsFound(NamedTuple):
    """The best documents of each leg, best first; among equal scores, the lower sequence first.

    `titles` are documents with a matching title, and `respelled` says whether there are any for the respelled text.
    """

    dense: list[Similarity]
    lexical: list[Candidate]
    titles: TitleHits = TitleHits([], [])
    respelled: bool = False


class Moved(NamedTuple):
    """The pinned documents that may be found, and whether any document is buried."""

    pinned: frozenset[int]
    buries: bool


class Summary(NamedTuple):
    """The types of attributes in all documents, and the counts of facets in those that match the filter."""

    attributes: Attributes
    facets: list[FacetCounts]


class Suggested(NamedTuple):
    """A suggestion, and the id of its document; empty if it belongs to none."""

    suggestion: Suggestion
    document_id: str


class Corpus(Protocol):
    """The documents of one state that match a filter, if there is one. Any thread may use it."""

    @property
    def statistics(self) -> TermStatistics:
        """The statistics of all documents, whether they match the filter or not."""

    @property
    def compared_at_once(self) -> int:
        """The number of documents whose similarities to ask for at a time, until enough of them are similar enough."""

    def expect(self, text: str) -> None:
        """Prepares for questions about the words of a typed text."""

    def find(self, query: LegsQuery) -> LegsFound:
        """Returns the best documents."""

    def similarities(self, vector: NDArray[np.float32], sequences: Sequence[int]) -> dict[int, Similarity]:
        """Returns the similarities of documents, by sequence."""

    def lexical_scores(self, terms: QueryTerms, sequences: Sequence[int]) -> dict[int, float]:
        """Returns the scores by words of documents, by sequence; leaves out those without any of the terms."""

    def titles(self, text: str) -> TitleHits:
        """Returns at most one document whose title equals a text, and one whose title begins with it."""

    def complete(self, text: str, *, limit: int) -> list[str]:
        """Returns the texts that fit one without errors, best first."""

    def suggest(self, typed: str, *, limit: int, language: str | None, ranges: bool) -> list[Suggested]:
        """Returns the completions of a typed text; see `SuggestView.suggest`."""

    def moved(self, pinned: Sequence[int], burying: Burying) -> Moved:
        """Returns which pinned documents may be found, and whether any document is buried."""

    def burial_places(self, burying: Burying, sequences: Sequence[int]) -> list[int]:
        """Returns for each document the place of the rule that buries it, or `NOT_BURIED`."""

    def boost_values(self, boosts: Sequence[Boost], sequences: Sequence[int], *, seconds: int) -> NDArray[np.float64]:
        """Returns the values `[boosts, documents]` that boosts give to documents."""

    def summary(self, asked: Sequence[str], *, facets: Sequence[str] = ()) -> Summary:
        """Returns the types of attributes, given by composed name, and the counts of facets."""


class Searched(Protocol):
    """A state that searches use: that of one index, or of shards. Immutable; any thread may use it."""

    @property
    def sequence(self) -> int:
        """Sequence of the last change."""

    @property
    def rules(self) -> QueryRules:
        """The rules."""

    @property
    def baseline(self) -> Baseline:
        """The baseline of scores."""

    @property
    def texts(self) -> Sequence[object]:
        """The objects that readings and synonyms depend on: the same ones in states that understand queries equally."""

    def comparing(self, vectors: Sequence[NDArray[np.float32]]) -> Self:
        """Returns the state for searches with these vectors, which it may compare together."""

    def corpus(self, filter: Filter | None = None) -> Corpus:
        """Returns the documents that match a filter; None matches all."""
