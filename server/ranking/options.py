"""What a search asks for beside its query."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from server.attributes.filter import Filter


class Mode(enum.Enum):
    """What documents are compared with a query by."""

    DENSE = "dense"
    LEXICAL = "lexical"
    HYBRID = "hybrid"


class Fusion(enum.Enum):
    """How `Mode.HYBRID` makes one order out of two."""

    WEIGHTED_SUM = "weighted sum"
    RECIPROCAL_RANK = "reciprocal rank"


@dataclass(frozen=True)
class SearchOptions:
    """How many documents to find, how, and among which.

    Attributes:
        limit: Most documents.
        mode: What they are compared by.
        filter: Those that may be found; None means all.
        min_score: Lowest score of a hit; in HYBRID mode, its lowest similarity. None means any.
        fusion: How two orders become one.
    """

    limit: int
    mode: Mode = Mode.DENSE
    filter: Filter | None = None
    min_score: float | None = None
    fusion: Fusion = Fusion.WEIGHTED_SUM
