"""The exact index: USearch compares every vector with the query, so nothing is missed.

Each document owns one or more vectors and scores its best one. Exact search is
both right and fast up to some hundred thousand vectors, and its results do not
depend on which queries share a call.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import usearch.index
from numpy.typing import NDArray
from usearch.compiled import MetricKind

from server.index.storage import Storage, to_storage
from server.similarity import Similarity

METRIC_OF: dict[Similarity, MetricKind] = {"cosine": MetricKind.Cos, "dot": MetricKind.IP}
"""USearch's distances; both are one minus the score."""


@dataclass(frozen=True, slots=True)
class Match:
    """A document found: its position, the position of its best part, and that part's similarity to the query."""

    document: int
    part: int
    score: float


class ExactIndex:
    """Immutable, and safe to search from many threads at once."""

    def __init__(
        self, vectors: NDArray[Any], owners: Sequence[int], *, similarity: Similarity, storage: Storage = "f32"
    ) -> None:
        """Takes the vectors `[V, dimension]` and for each the position of its document.

        Args:
            vectors: The vectors, as `to_storage` returns them. They are not copied.
            owners: For each vector the position of its document.
            similarity: How they are compared with a query.
            storage: How they are kept. Queries are rounded alike.
        """
        self._vectors = np.ascontiguousarray(vectors)
        self._metric = METRIC_OF[similarity]
        self._storage: Storage = storage
        self._owners = list(owners)
        self._document_count = len(set(self._owners))

    def __len__(self) -> int:
        return len(self._owners)

    @property
    def vector_bytes(self) -> int:
        """Bytes that the vectors take."""
        return self._vectors.nbytes

    def search(self, queries: NDArray[np.float32], limits: Sequence[int]) -> list[list[Match]]:
        """Returns for each of the queries `[N, dimension]` its `limits[n]` best documents, best first.

        Documents of equal score come in the order of their positions. Fewer come back only when there are fewer.
        """
        results: list[list[Match]] = [[] for _ in limits]
        waiting = list(range(len(limits)))
        vectors_per_document = -(-len(self) // self._document_count)
        count = max(limits, default=0) * vectors_per_document
        while waiting:
            # Documents with many vectors crowd the others out: those queries look again, twice as far.
            count = min(count, len(self))
            again = []
            for row, nearest in zip(waiting, self._nearest(queries[waiting], count), strict=True):
                results[row] = self._best_of_each_document(nearest, limits[row])
                if count < len(self) and not self._is_settled(results[row], limits[row], nearest):
                    again.append(row)
            waiting = again
            count *= 2
        return results

    def _nearest(self, queries: NDArray[np.float32], count: int) -> list[list[tuple[float, int]]]:
        """Returns for each query its `count` nearest vectors as (distance, position), nearest first."""
        kept = to_storage(queries, self._storage)
        found = usearch.index.search(self._vectors, kept, count, self._metric, exact=True, threads=1)
        # A single query comes back without the dimension of the batch.
        distances, keys = np.atleast_2d(found.distances), np.atleast_2d(found.keys)
        return [sorted(zip(*pair, strict=True)) for pair in zip(distances.tolist(), keys.tolist(), strict=True)]

    def _best_of_each_document(self, nearest: list[tuple[float, int]], limit: int) -> list[Match]:
        best: dict[int, Match] = {}
        for distance, part in nearest:
            document = self._owners[part]
            if document not in best:
                if len(best) == limit:
                    break
                best[document] = Match(document, part, 1.0 - distance)
        return list(best.values())

    def _is_settled(self, matches: list[Match], limit: int, nearest: list[tuple[float, int]]) -> bool:
        """Whether no vector beyond `nearest` could belong in the matches, not even by a tie with the last."""
        return len(matches) == min(limit, self._document_count) and matches[-1].score > 1.0 - nearest[-1][0]
