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
    """The options of a search.

    `min_score` bounds the score; in HYBRID mode, the similarity. `facets` are the attributes whose values are counted.
    """

    limit: int
    mode: Mode = Mode.DENSE
    filter: Filter | None = None
    min_score: float | None = None
    fusion: Fusion = Fusion.WEIGHTED_SUM
    facets: tuple[str, ...] = ()

    @property
    def kind(self) -> tuple[Mode, bool, bool]:
        """The mode, whether there is a filter and whether there are facets: they decide most of a search's time."""
        return self.mode, self.filter is not None, bool(self.facets)
