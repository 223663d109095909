"""The options of a search."""

import enum
from dataclasses import dataclass, field
from typing import NamedTuple

from server.attributes.filter import Filter
from server.ranking.position import Position

CANDIDATES = 100
"""Least number of documents to take from each leg. A document outside a leg's list gets no score from that leg."""


class Mode(enum.Enum):
    """A way to compare documents with a query."""

    DENSE = "dense"
    LEXICAL = "lexical"
    HYBRID = "hybrid"


class Fusion(enum.Enum):
    """A way to fuse the two result lists of `Mode.HYBRID`."""

    WEIGHTED_SUM = "weighted sum"
    RECIPROCAL_RANK = "reciprocal rank"


class Asked(NamedTuple):
    """The query that rules of merchandising are matched with, and its language code, which may be empty."""

    query: str
    language_code: str


@dataclass(frozen=True)
class SearchOptions:
    """The options of a search.

    `min_score` bounds the score; in HYBRID mode, the similarity. `facets` are the attributes whose values are counted.
    `after` is the end of the previous page, None for the first page. Without `asked`, no rules of merchandising apply.
    `seconds` is the time of the first page, in seconds since 1970. With `allow_partial`, shards may be missing.
    """

    limit: int
    mode: Mode = Mode.DENSE
    filter: Filter | None = None
    min_score: float | None = None
    fusion: Fusion = Fusion.WEIGHTED_SUM
    facets: tuple[str, ...] = ()
    after: Position | None = None
    asked: Asked | None = None
    seconds: int = field(default=0, compare=False)
    allow_partial: bool = False

    @property
    def wanted(self) -> int:
        """Number of documents to rank: those of this page and of the pages before it, and the first after it."""
        return self.limit + 1 + (self.after.rank if self.after else 0)

    @property
    def window(self) -> int:
        """Number of documents to take from each leg in HYBRID mode, the same for all pages."""
        return self.after.window if self.after else max(CANDIDATES, self.limit)

    @property
    def kind(self) -> tuple[Mode, bool, bool]:
        """The mode, whether there is a filter and whether there are facets: they decide most of a search's time."""
        return self.mode, self.filter is not None, bool(self.facets)
