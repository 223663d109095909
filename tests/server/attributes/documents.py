"""Documents with random vectors, and the definition of a search for them."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from server.similarity import Similarity
from server.vectors.dense import DenseIndex
from server.vectors.storage import Storage, to_rows
from server.vectors.view import DenseView, Match

DIMENSION = 16

TOLERANCE = 1e-5


class Documents:
    """The documents that were appended to an index."""

    def __init__(self, similarity: Similarity, storage: Storage, seed: int, *, levels: int | None = None) -> None:
        """With `levels`, vectors consist of small integers, so that many scores are equal."""
        self.random = np.random.default_rng(seed)
        self._similarity: Similarity = similarity
        self._storage: Storage = storage
        self._levels = levels
        self._count = 0
        self._owners: list[int] = []
        self._parts: list[int] = []
        self._fields: list[int] = []
        self._vectors = np.empty((0, DIMENSION), np.float32)

    def __len__(self) -> int:
        return self._count

    def append(self, index: DenseIndex, counts: Sequence[int]) -> None:
        """Appends documents with these numbers of vectors."""
        owners = [self._count + number for number, count in enumerate(counts) for _ in range(count)]
        parts = [part for count in counts for part in range(count)]
        fields = [part % 3 for part in parts]
        vectors = self.make(len(owners))
        index.append(np.array(owners, np.int32), np.array(parts, np.int32), np.array(fields, np.uint8), vectors)
        self._count += len(counts)
        self._owners += owners
        self._parts += parts
        self._fields += fields
        self._vectors = np.concatenate((self._vectors, vectors))

    def make(self, count: int) -> NDArray[np.float32]:
        """Returns random vectors."""
        if self._levels is None:
            return self.random.standard_normal((count, DIMENSION)).astype(np.float32)
        return self.random.integers(-self._levels, self._levels + 1, (count, DIMENSION)).astype(np.float32)

    def vectors_of(self, slot: int) -> NDArray[np.float32]:
        """Returns the vectors of a document."""
        found: NDArray[np.float32] = self._vectors[np.array(self._owners) == slot]
        return found

    def best(
        self,
        query: NDArray[np.float32],
        limit: int,
        allowed: NDArray[np.bool_] | None = None,
        weights: Sequence[float] = (1.0,),
    ) -> list[Match]:
        """Returns the best documents by definition: by the weighted score of the best part, then by slot."""
        rows = to_rows(self._vectors, self._similarity, self._storage).astype(np.float64)
        scores = rows @ to_rows(query[None, :], self._similarity, self._storage)[0].astype(np.float64)
        found: dict[int, Match] = {}
        for slot, part, field, score in zip(self._owners, self._parts, self._fields, scores.tolist(), strict=True):
            weighted = score * (weights[field] if len(weights) > 1 else weights[0])
            if (allowed is None or allowed[slot]) and (slot not in found or weighted > found[slot].score):
                found[slot] = Match(slot, part, weighted)
        return sorted(found.values(), key=lambda match: (-match.score, match.slot))[:limit]


def check(
    documents: Documents,
    view: DenseView,
    limit: int,
    allowed: NDArray[np.bool_] | None,
    weights: Sequence[float],
    *,
    exact: bool = False,
) -> None:
    """Searches a view for random vectors, alone and together, and compares what it finds with the definition."""
    queries = documents.make(5)
    together = view.comparing(list(queries), weights=weights)
    assert not view.tail or len(together.compared) == len(queries)
    for query in queries:
        found = view.search(query, limit=limit, allowed=allowed, weights=weights, exact=exact)
        assert found == together.search(query, limit=limit, allowed=allowed, weights=weights, exact=exact)
        right = documents.best(query, limit, allowed, weights)
        every = {match.slot: match.score for match in documents.best(query, len(documents), None, weights)}
        tolerance = TOLERANCE * max([1.0, *(abs(match.score) for match in right)])
        assert [match.score for match in found] == pytest.approx([match.score for match in right], abs=tolerance)
        assert [match.score for match in found] == pytest.approx([every[each.slot] for each in found], abs=tolerance)
        assert found == sorted(found, key=lambda match: (-match.score, match.slot))
        assert len({match.slot for match in found}) == len(found)
        assert allowed is None or all(allowed[match.slot] for match in found)
