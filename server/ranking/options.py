"""The options of a search."""

import enum
from dataclasses import dataclass

from server.attributes.filter import Filter


class Mode(enum.Enum):
    """A way to compare documents with a query."""

    DENSE = "dense"
    LEXICAL = "lexical"
    HYBRID = "hybrid"


class Fusion(enum.Enum):
    """A way to fuse the two result lists of `Mode.HYBRID`."""

    WEIGHTED_SUM = "weighted sum"
    RECIPROCAL_RANK = "reciprocal rank"


@dataclass(frozen=True)
class SearchOptions:
    """The options of a search. `min_score` bounds the score; in HYBRID mode, the similarity."""

    limit: int
    mode: Mode = Mode.DENSE
    filter: Filter | None = None
    min_score: float | None = None
    fusion: Fusion = Fusion.WEIGHTED_SUM

    @property
    def kind(self) -> tuple[Mode, bool]:
        """The mode and whether there is a filter, which decide most of the time that a search takes."""
        return self.mode, self.filter is not None
