"""The exact index: every vector is compared with the query, so nothing is missed.

Each document owns one or more vectors and scores its best one. Exact search is both right and fast up to some hundred
thousand vectors. A score is the same to the last bit wherever its vector stands and whatever shares the call: it comes
from NumKong, the kernels of USearch. Vectors in f32 are sifted by BLAS first, five times as fast and rounded less well
(1,782 vectors of 384: 45 against 250 µs a query), so that NumKong sees only what may be among the best.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numkong
import numpy as np
from numpy.typing import NDArray

from server.index.storage import Storage, to_storage
from server.similarity import Similarity

SMALLEST = float(np.finfo(np.float32).tiny)
"""Stands for the length of a vector of zeros."""


SIFTED_QUERIES = 32
"""Most queries compared with all vectors at once; for a million of vectors that takes 128 MB."""

MANY_QUERIES = 16
"""From so many on, one product of all queries is faster than a product for each: 34 against 45 µs a query."""


class Match(NamedTuple):
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
            owners: For each vector the position of its document, in ascending order from 0 without a gap.
            similarity: How they are compared with a query.
            storage: How they are kept. Queries are rounded alike.
        """
        self._vectors = np.ascontiguousarray(vectors)
        self._storage: Storage = storage
        self._owners = np.asarray(owners)
        self._starts = np.flatnonzero(np.diff(self._owners, prepend=-1))
        assert np.array_equal(self._owners[self._starts], np.arange(len(self._starts))), "documents are in order"
        lengths = np.array([np.linalg.norm(vector.astype(np.float64)) for vector in self._vectors])
        self._longest = float(lengths.max())
        self._inverse_lengths = 1 / np.maximum(lengths, SMALLEST) if similarity == "cosine" else None
        self._inverse_lengths_f32 = None if self._inverse_lengths is None else self._inverse_lengths.astype(np.float32)

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
        kept = to_storage(queries, self._storage)
        found: list[list[Match]] = []
        for start in range(0, len(limits), SIFTED_QUERIES):
            rows = slice(start, start + SIFTED_QUERIES)
            sifted = self._sift(kept[rows], limits[rows])
            found += [self._best(*each) for each in zip(kept[rows], limits[rows], sifted, strict=True)]
        return found

    def _sift(self, queries: NDArray[Any], limits: Sequence[int]) -> list[NDArray[np.int64]]:
        """Returns for each query every part that may be the best of one of its best documents, and few others."""
        if self._storage != "f32":
            return [np.arange(len(self))] * len(queries)
        products = np.empty((len(queries), len(self)), dtype=np.float32)
        if len(queries) >= MANY_QUERIES:
            np.dot(queries, self._vectors.T, out=products)
        else:
            for query, row in zip(queries, products, strict=True):
                np.dot(self._vectors, query, out=row)
        if self._inverse_lengths_f32 is not None:
            products *= self._inverse_lengths_f32
        of_documents = np.maximum.reduceat(products, self._starts, axis=1)
        most = min(max(limits), len(self._starts))
        last = np.partition(of_documents, -most, axis=1)[:, -most]
        # The bound of a sum's rounding errors, once for the part and once for the one it is compared with.
        longest = 1.0 if self._inverse_lengths is not None else self._longest
        rounding = 2 * queries.shape[1] * float(np.finfo(np.float32).eps) * longest * np.linalg.norm(queries, axis=1)
        return [np.flatnonzero(each) for each in products >= (last - rounding)[:, None]]

    def _best(self, query: NDArray[Any], limit: int, parts: NDArray[np.int64]) -> list[Match]:
        """Returns the best documents among those that some parts belong to."""
        vectors = self._vectors if len(parts) == len(self) else self._vectors[parts]
        scores = np.asarray(numkong.cdist(query[None, :], vectors, "dot"), dtype=np.float64).reshape(-1)
        if self._inverse_lengths is not None:
            length = float(np.linalg.norm(query.astype(np.float64)))
            scores *= self._inverse_lengths[parts] / max(length, SMALLEST)
        # Sorting is stable, and parts are in the order of their documents.
        order = np.argsort(-scores, kind="stable")
        best = parts[order]
        matches: dict[int, Match] = {}
        for document, part, score in zip(
            self._owners[best].tolist(), best.tolist(), scores[order].tolist(), strict=True
        ):
            if document not in matches:
                if len(matches) == limit:
                    break
                matches[document] = Match(document, part, score)
        return list(matches.values())
