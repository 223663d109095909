"""The number of candidates that a search of the graph keeps: HNSW's ef_search."""

from dataclasses import dataclass

EF_SEARCH_VECTORS = 100_000
EF_SEARCH_GROWTH = 0.75
"""Recall falls with size, so ef_search grows: 128 at 100,000 vectors becomes 719 at a million (`bench-index`)."""


@dataclass
class EfSearch:
    """The ef_search of an index. Shared by all views; raised when recall is low."""

    value: int
    """For a graph of up to `EF_SEARCH_VECTORS` vectors."""

    def at(self, vectors: int) -> int:
        """Returns the ef_search for a graph of this many vectors."""
        return int(self.value * max(1.0, vectors / EF_SEARCH_VECTORS) ** EF_SEARCH_GROWTH)
