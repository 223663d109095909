"""What a search asks for beside its query."""

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
    """How many documents to find, how, and among which. `min_score` bounds the similarity in HYBRID mode."""

    limit: int
    mode: Mode = Mode.DENSE
    filter: Filter | None = None
    min_score: float | None = None
    fusion: Fusion = Fusion.WEIGHTED_SUM
