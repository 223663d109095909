"""The result of a search."""

import enum
from collections.abc import Sequence
from typing import NamedTuple

from server.attributes.facets import FacetCounts
from server.ranking.position import CANDIDATE, Position


class Effect(enum.Enum):
    """The ways in which a rule moves a document: to the beginning, to the end, or by a change of its score."""

    PINNED = "pinned"
    BURIED = "buried"
    BOOSTED = "boosted"


class AppliedRule(NamedTuple):
    """A rule that has moved a document. `score_change` is what a boost has added to the score, or taken from it."""

    rule_id: str
    effect: Effect
    score_change: float = 0.0


class FoundDocument(NamedTuple):
    """A document that was found.

    Attributes:
        sequence: Sequence of its version.
        score: The score that orders documents of the same tier.
        vector: Ordinal of its vector that is nearest to the query; None if vectors were not compared.
        dense_score: Similarity of that vector, weighted by its field; None if vectors were not compared.
        lexical_score: Its BM25 score; None if it is not among the best by words.
        tier: The part of the ranking that it is in; see `server.ranking.position`.
        rules: The rules that have moved it.
    """

    sequence: int
    score: float
    vector: int | None = None
    dense_score: float | None = None
    lexical_score: float | None = None
    tier: int = CANDIDATE
    rules: tuple[AppliedRule, ...] = ()


class Found(NamedTuple):
    """The documents, best first; the sequence of the last change seen; whether probably none is a good answer.

    `warnings` are those of the filter and the facets; see `warnings_of`. `facets` count the documents that match the
    filter. `end` is the end of the page, None if no page follows. `missing_shards` of `shard_count` shards have not
    answered.
    """

    documents: list[FoundDocument]
    sequence: int
    no_good_answer: bool
    warnings: Sequence[str] = ()
    facets: Sequence[FacetCounts] = ()
    end: Position | None = None
    shard_count: int = 0
    missing_shards: int = 0
