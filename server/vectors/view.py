"""What the index held at one moment: searched by many threads while its writer goes on.

Vectors lie one behind the other, in the order of their documents' slots. Those up to `len(graph)` are in the graph, and
the rest are compared one by one. However a vector was found, its score is computed by one kernel, and is the same to
the last bit wherever the vector stands.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numkong
import numpy as np
from numpy.typing import NDArray

from server.similarity import Similarity
from server.vectors.graph import Graph
from server.vectors.layout import row_dtype, row_storage
from server.vectors.rows import Piece
from server.vectors.storage import Storage, to_storage

SMALLEST = float(np.finfo(np.float32).tiny)
"""Stands for the length of a vector of zeros."""

FETCHED_LEAST = 32
"""Candidates taken from the graph at least, of the many more that it comes by."""

FETCHED_MOST = 1024
"""Candidates taken from the graph at most, unless the limit wants more: beyond, comparing all is as fast."""

GATHERED_SHARE = 0.3
"""Up to this share of a piece's rows are copied together to be compared; above, all are compared where they lie."""

EFFORT_VECTORS = 100_000
EFFORT_GROWTH = 0.75
"""Recall falls with size: an effort of 128 gives .99 of 100,000 vectors, 719 gives .97 of a million (`bench-index`)."""


class Match(NamedTuple):
    """A document found: its slot, its best part, and that part's weighted similarity to the query."""

    slot: int
    part: int
    score: float


@dataclass
class Effort:
    """Nodes that a search of a graph keeps in mind, HNSW's ef. Shared by all views, raised when recall is low.

    Attributes:
        value: In a graph of up to `EFFORT_VECTORS` vectors.
    """

    value: int

    def at(self, vectors: int) -> int:
        """Returns the effort in a graph of so many vectors: the more there are, the more are nearly as near."""
        return int(self.value * max(1.0, vectors / EFFORT_VECTORS) ** EFFORT_GROWTH)


Observe = Callable[["DenseView", NDArray[np.float32], "NDArray[np.bool_] | None", Sequence[float]], None]
"""Is told of every search of the graph: the view, the query, what was allowed and the weights."""


@dataclass(frozen=True, eq=False)
class DenseView:
    """Immutable, and safe to search from many threads at once.

    Attributes:
        dimension: Numbers of a vector.
        similarity: How vectors are compared.
        storage: How they are kept.
        graph: The vectors up to a position, or None where there are few.
        tail: The rows behind it, in pieces that follow each other.
        owners: For each vector the slot of its document, ascending.
        parts: For each vector its ordinal in the document.
        fields: For each vector the index of its weight.
        longest: Length of the longest vector.
        effort: Of searches of the graph.
        observe: Is told of searches of the graph.
    """

    dimension: int
    similarity: Similarity
    storage: Storage
    graph: Graph | None
    tail: Sequence[Piece]
    owners: NDArray[np.int32]
    parts: NDArray[np.int32]
    fields: NDArray[np.uint8]
    longest: float
    effort: Effort
    observe: Observe | None = None

    def __len__(self) -> int:
        return len(self.owners)

    @property
    def graph_count(self) -> int:
        """Number of vectors in the graph."""
        return 0 if self.graph is None else len(self.graph)

    @property
    def memory_bytes(self) -> int:
        """Bytes that all of it takes, mapped files included."""
        # In f32, a piece is one array.
        tail = {id(array): array.nbytes for piece in self.tail for array in piece}
        arrays = (self.owners, self.parts, self.fields)
        graph_bytes = 0 if self.graph is None else self.graph.memory_bytes
        return sum(tail.values()) + sum(each.nbytes for each in arrays) + graph_bytes

    def search(
        self,
        query: NDArray[np.float32],
        *,
        limit: int,
        allowed: NDArray[np.bool_] | None = None,
        weights: Sequence[float] = (1.0,),
        exact: bool = False,
    ) -> list[Match]:
        """Returns the `limit` best documents, best first; those of equal score in the order of their slots.

        A document scores its best vector. Fewer documents come back only when fewer are allowed.

        Args:
            query: The vector searched for, `[dimension]`.
            limit: Number of documents.
            allowed: By slot, which documents may be found; None for all.
            weights: By field, what the similarities of its vectors are multiplied with; above 0. One weight is for all.
            exact: Whether nothing may be missed, as with a filter: every allowed vector is compared.
        """
        if limit < 1 or not len(self):
            return []
        row = to_rows(query[None, :], self.similarity, self.storage)
        by_field = None if len(set(weights)) == 1 and weights[0] == 1 else np.asarray(weights, dtype=np.float64)
        if self.graph is not None and not exact:
            found = self._search_graph(self.graph, row, limit, allowed, by_field)
            if found is not None:
                if self.observe is not None:
                    self.observe(self, query, allowed, weights)
                return found
        positions, scores = self._best_vectors(row, limit, allowed, by_field, start=0)
        return self._documents(positions, scores, limit)

    def best_of(
        self, query: NDArray[np.float32], slots: Sequence[int], *, weights: Sequence[float] = (1.0,)
    ) -> dict[int, Match]:
        """Returns the best vector of each of some documents, by slot. They are few: each is looked up by itself."""
        row = to_rows(query[None, :], self.similarity, self.storage)
        by_field = np.asarray(weights, dtype=np.float64)
        found: dict[int, Match] = {}
        for slot in slots:
            first, end = np.searchsorted(self.owners, np.array([slot, slot + 1], dtype=self.owners.dtype)).tolist()
            if first < end:
                positions = np.arange(first, end)
                scores = dots(row, self._take(positions)) * self._weights_at(by_field, positions)
                best = int(np.argmax(scores))
                found[slot] = Match(slot, int(self.parts[first + best]), float(scores[best]))
        return found

    def _search_graph(
        self,
        graph: Graph,
        row: NDArray[Any],
        limit: int,
        allowed: NDArray[np.bool_] | None,
        weights: NDArray[np.float64] | None,
    ) -> list[Match] | None:
        """Returns the best documents by the graph and what is not yet in it; None if it is no help in finding them."""
        tail, tail_scores = np.empty(0, dtype=np.int64), np.empty(0)
        if len(self) > len(graph):
            tail, tail_scores = self._best_vectors(row, limit, allowed, weights, start=len(graph))
        extremes = (1.0,) if weights is None else (float(weights.min()), float(weights.max()))
        share = 1.0 if allowed is None else np.count_nonzero(allowed) / len(allowed)
        wanted = max(FETCHED_LEAST, 2 * limit)
        most = max(FETCHED_MOST, 4 * wanted)
        fetched = int(wanted / max(share, wanted / len(graph)))
        while fetched <= min(most, len(graph)):
            base = np.sort(graph.search(row, fetched, self.effort.at(len(graph))))
            scores = dots(row, graph.take(base))
            # What was not fetched is no nearer than this, as far as the graph is right.
            reach = max(float(scores.min()) * weight for weight in extremes)
            if allowed is not None:
                kept = allowed[self.owners[base]]
                base, scores = base[kept], scores[kept]
            if weights is not None:
                scores *= self._weights_at(weights, base)
            found = self._documents(np.concatenate((base, tail)), np.concatenate((scores, tail_scores)), limit)
            if len(found) == limit and (found[-1].score >= reach or 4 * fetched > most):
                return found
            fetched *= 4
        return None

    def _best_vectors(
        self,
        row: NDArray[Any],
        limit: int,
        allowed: NDArray[np.bool_] | None,
        weights: NDArray[np.float64] | None,
        *,
        start: int,
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Returns vectors from a position on, ascending, and their scores: every one that makes a best document."""
        positions = None if allowed is None else np.flatnonzero(allowed[self.owners[start:]]) + start
        if positions is not None and len(positions) == len(self) - start:
            positions = None
        sifted = self._sift(row, positions, start)
        heaviest = 1.0
        if weights is not None:
            sifted *= self._weights_at(weights, slice(start, None) if positions is None else positions)
            heaviest = float(weights.max())
        # A bound of the errors by which the scores that sift differ from the right ones.
        length = float(np.linalg.norm(row.astype(np.float64)))
        error = 2 * self.dimension * float(np.finfo(np.float32).eps) * self.longest * length * heaviest
        count = 2 * limit
        while True:
            last = -np.inf
            if count < len(sifted):
                last = float(np.partition(sifted, -count)[-count]) - error
            chosen = np.flatnonzero(sifted >= last - error)
            best = chosen + start if positions is None else positions[chosen]
            scores = dots(row, self._take(best))
            if weights is not None:
                scores *= self._weights_at(weights, best)
            good = best[scores >= last]
            if count >= len(sifted) or (len(good) >= limit and _count_distinct(self.owners[good]) >= limit):
                return best, scores
            count *= 8

    def _sift(self, row: NDArray[Any], positions: NDArray[np.int64] | None, start: int) -> NDArray[np.float64]:
        """Returns the scores of some vectors, or of all from a position on, rounded as what is fastest rounds."""
        count = len(self) - start if positions is None else len(positions)
        sifted = np.empty(count)
        done = 0
        wide = row.astype(np.float32)
        for first, piece in self._pieces(start):
            if positions is None:
                _sift_into(row, wide, piece, sifted[done : done + len(piece.rows)])
                done += len(piece.rows)
                continue
            end = int(np.searchsorted(positions, first + len(piece.rows)))
            local = positions[done:end] - first
            if len(local) > GATHERED_SHARE * len(piece.rows):
                every = np.empty(len(piece.rows))
                _sift_into(row, wide, piece, every)
                sifted[done:end] = every[local]
            elif len(local):
                sifted[done:end] = dots(row, piece.take(local))
            done = end
        return sifted

    def _pieces(self, start: int) -> list[tuple[int, Piece | Graph]]:
        """Returns the rows from a position on, which is 0 or where the graph ends, each piece with its position."""
        pieces: list[tuple[int, Piece | Graph]] = []
        if self.graph is not None and start < len(self.graph):
            pieces.append((0, self.graph))
        first = self.graph_count
        for piece in self.tail:
            pieces.append((first, piece))
            first += len(piece.rows)
        return pieces

    def _take(self, positions: NDArray[np.int64]) -> NDArray[Any]:
        """Returns the rows at ascending positions."""
        taken = []
        done = 0
        for first, piece in self._pieces(0):
            end = int(np.searchsorted(positions, first + len(piece.rows)))
            if end > done:
                taken.append(piece.take(positions[done:end] - first))
            done = end
        if not taken:
            return np.empty((0, self.dimension), dtype=row_dtype(self.storage))
        return taken[0] if len(taken) == 1 else np.concatenate(taken)

    def _weights_at(self, weights: NDArray[np.float64], positions: NDArray[np.int64] | slice) -> NDArray[np.float64]:
        return weights if len(weights) == 1 else weights[self.fields[positions]]

    def _documents(self, positions: NDArray[np.int64], scores: NDArray[np.float64], limit: int) -> list[Match]:
        """Returns the best documents of vectors at ascending positions."""
        # Sorting is stable, and vectors are in the order of their documents.
        best = np.argsort(-scores, kind="stable")
        found: dict[int, Match] = {}
        chosen = positions[best]
        for slot, part, score in zip(
            self.owners[chosen].tolist(), self.parts[chosen].tolist(), scores[best].tolist(), strict=True
        ):
            if slot not in found:
                if len(found) == limit:
                    break
                found[slot] = Match(slot, part, score)
        return list(found.values())


def to_rows(vectors: NDArray[np.float32], similarity: Similarity, storage: Storage) -> NDArray[Any]:
    """Returns vectors `[N, dimension]` as rows: of length 1 where only directions count, so that all is products."""
    if similarity == "cosine":
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        vectors = vectors / np.maximum(lengths, SMALLEST)
    return np.ascontiguousarray(to_storage(vectors, row_storage(storage)))


def dots(row: NDArray[Any], rows: NDArray[Any]) -> NDArray[np.float64]:
    """Returns the products that scores come from."""
    if not len(rows):
        return np.empty(0)
    return np.asarray(numkong.cdist(row, rows, "dot"), dtype=np.float64).reshape(-1)


def _sift_into(row: NDArray[Any], wide: NDArray[np.float32], piece: Piece | Graph, out: NDArray[np.float64]) -> None:
    scores = np.empty(len(out)) if isinstance(piece, Graph) else out
    if piece.wide is not None:
        scores[:] = piece.wide @ wide[0]  # Five times as fast as NumKong, and rounded less well.
    else:
        numkong.cdist(row, piece.rows, "dot", out=scores[None, :])  # Into f32 it would take sixteen times as long.
    if isinstance(piece, Graph):
        out[:] = scores[piece.places]


def _count_distinct(ascending: NDArray[np.int32]) -> int:
    return 1 + int(np.count_nonzero(ascending[1:] != ascending[:-1]))
