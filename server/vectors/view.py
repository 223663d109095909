"""A view of the index's vectors at one moment. Many threads search it while the writer continues.

Vectors are in the order of their documents' slots. The first `len(graph)` are in the graph; a search compares the rest
directly (`comparing`: for a batch of queries at once). One kernel computes all scores, bit-identical for every path.
"""

import importlib.metadata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Self

import numkong
import numpy as np
from numpy.typing import NDArray

from server.similarity import Similarity
from server.snapshot import Arrays, CheckedFile, Facts
from server.vectors.building import GRAPH_FILES
from server.vectors.ef_search import EfSearch
from server.vectors.graph import Graph
from server.vectors.rows import RowBlock
from server.vectors.storage import Storage, row_dtype, to_rows

FETCHED_LEAST = 32
"""Minimum number of candidates taken from the graph."""

FETCHED_MOST = 1024
"""Maximum, unless the limit needs more: with more candidates, an exact search is as fast."""

COMPARED_BYTES = 2**23
"""Maximum size of the scores that a worker of the server computes at once."""

GATHERED_SHARE = 0.3
"""Up to this share of a block, the allowed rows are copied and compared; above, the whole block is compared."""


class Query(NamedTuple):
    """A query's row, and its approximate weighted scores against the tail, if they are known."""

    row: NDArray[Any]
    scores: NDArray[np.float32] | None = None


class Match(NamedTuple):
    """A document that was found: its slot, its best part, and that part's weighted similarity to the query."""

    slot: int
    part: int
    score: float


Observe = Callable[["DenseView", NDArray[np.float32], "NDArray[np.bool_] | None", Sequence[float]], None]
"""Called after each search of the graph, with the view, the query, the allowed slots and the weights."""


@dataclass(frozen=True, eq=False)
class DenseView:
    """An immutable view, safe to search from many threads at once.

    Attributes:
        graph: The first vectors; None while there are few.
        tail: The rows after the graph's.
        owners: For each vector, the slot of its document, ascending.
        parts: For each vector, its ordinal in the document.
        fields: For each vector, the index of its weight.
        longest: Length of the longest vector.
        compared: Queries that were compared with the tail, by their bytes and weights; see `comparing`.
    """

    dimension: int
    similarity: Similarity
    storage: Storage
    graph: Graph | None
    tail: Sequence[RowBlock]
    owners: NDArray[np.int32]
    parts: NDArray[np.int32]
    fields: NDArray[np.uint8]
    longest: float
    ef_search: EfSearch
    observe: Observe | None = None
    compared: Mapping[tuple[bytes, tuple[float, ...]], Query] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.owners)

    @property
    def graph_count(self) -> int:
        """Number of vectors in the graph."""
        return 0 if self.graph is None else len(self.graph)

    def count_of(self, slots: NDArray[np.int64]) -> int:
        """Returns the number of vectors of the documents in these slots."""
        return int((self.owners.searchsorted(slots, "right") - self.owners.searchsorted(slots, "left")).sum())

    @property
    def facts(self) -> Facts:
        """The facts that a snapshot of the vectors depends on."""
        return {
            "usearch": importlib.metadata.version("usearch"),
            "dimension": self.dimension,
            "similarity": self.similarity,
            "storage": self.storage,
        }

    @property
    def arrays(self) -> Arrays:
        """The arrays of a snapshot, without the graph's files."""
        empty = np.empty((0, self.dimension), row_dtype(self.storage))
        return {
            "owners": self.owners,
            "parts": self.parts,
            "fields": self.fields,
            "longest": np.array(self.longest),
            "tail": np.concatenate([empty, *(block.rows for block in self.tail)]),
        }

    @property
    def files(self) -> dict[str, CheckedFile]:
        """The graph's files in a snapshot, by name."""
        return {} if self.graph is None else dict(zip(GRAPH_FILES, self.graph.built, strict=True))

    def comparing(
        self,
        queries: Sequence[NDArray[np.float32]],
        *,
        weights: Sequence[float] = (1.0,),
        most_bytes: int = COMPARED_BYTES,
    ) -> Self:
        """Returns the view for searches with these queries: one product of matrices compares all with the tail.

        `most_bytes` is the maximum size of the scores; further queries are compared singly.
        """
        queries = queries[: most_bytes // (4 * max(1, len(self) - self.graph_count))]
        if len(queries) < 2 or not self.tail:
            return self
        rows = to_rows(np.stack(queries), self.similarity, self.storage)
        wide = rows.astype(np.float32)
        scores = np.hstack([wide @ block.wide.T for block in self.tail if block.wide is not None])
        scores *= self._weights_at(np.asarray(weights, np.float32), slice(self.graph_count, None))
        known = map(Query, np.split(rows, len(rows)), scores)
        return replace(self, compared={(query.tobytes(), tuple(weights)): next(known) for query in queries})

    def search(
        self,
        query: NDArray[np.float32],
        *,
        limit: int,
        allowed: NDArray[np.bool_] | None = None,
        weights: Sequence[float] = (1.0,),
        exact: bool = False,
    ) -> list[Match]:
        """Returns the `limit` best documents, best first; documents of equal score are in the order of their slots.

        A document's score is that of its best vector. Returns fewer documents only if fewer are allowed.

        Args:
            query: `[dimension]`.
            limit: Number of documents.
            allowed: For each slot, whether its document may be found; None allows all.
            weights: For each field, the factor of its similarities, above 0. A single weight applies to all fields.
            exact: Whether to compare every allowed vector instead of using the graph.
        """
        if limit < 1 or not len(self):
            return []
        known = self.compared.get((query.tobytes(), tuple(weights))) or Query(
            to_rows(query[None, :], self.similarity, self.storage)
        )
        by_field = np.array(weights if len(set(weights)) > 1 else weights[:1], dtype=np.float64)
        if self.graph is not None and not exact:
            found = self._search_graph(self.graph, known, limit, allowed, by_field)
            if found is not None:
                if self.observe is not None:
                    self.observe(self, query, allowed, weights)
                return found
        positions, scores = self._best_vectors(known, limit, allowed, by_field, start=0)
        return self._documents(positions, scores, limit)

    def vector(self, position: int) -> NDArray[np.float32]:
        """Returns the vector `[dimension]` at a position."""
        taken: NDArray[np.float32] = self._take(np.array([position]))[0].astype(np.float32)
        return taken

    def best_of(
        self, query: NDArray[np.float32], slots: Sequence[int], *, weights: Sequence[float] = (1.0,)
    ) -> dict[int, Match]:
        """Returns the best vector of each document in `slots`, by slot. Meant for few slots."""
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
        query: Query,
        limit: int,
        allowed: NDArray[np.bool_] | None,
        weights: NDArray[np.float64],
    ) -> list[Match] | None:
        """Returns the best documents of the graph and the tail; None if an exact search is needed."""
        tail, tail_scores = np.empty(0, dtype=np.int64), np.empty(0)
        if len(self) > len(graph):
            tail, tail_scores = self._best_vectors(query, limit, allowed, weights, start=len(graph))
        share = 1.0 if allowed is None else np.count_nonzero(allowed) / len(allowed)
        wanted = max(FETCHED_LEAST, 2 * limit)
        most = max(FETCHED_MOST, 4 * wanted)
        fetched = int(wanted / max(share, wanted / graph.node_count))
        while fetched <= min(most, graph.node_count):
            nodes = np.sort(graph.search(query.row, fetched, self.ef_search.at(graph.node_count)))
            scores = dots(query.row, graph.block.rows[nodes])
            # Vectors that were not fetched score at most this, unless the graph has missed them. If one scores as much,
            # its slot may be lower.
            reach = float((scores.min() * weights).max())
            base, scores = graph.rows_of(nodes, scores)
            if allowed is not None:
                kept = allowed[self.owners[base]]
                base, scores = base[kept], scores[kept]
            scores *= self._weights_at(weights, base)
            found = self._documents(np.concatenate((base, tail)), np.concatenate((scores, tail_scores)), limit)
            if len(found) == limit and (found[-1].score > reach or 4 * fetched > most):
                return found
            fetched *= 4
        return None

    def _best_vectors(
        self,
        query: Query,
        limit: int,
        allowed: NDArray[np.bool_] | None,
        weights: NDArray[np.float64],
        *,
        start: int,
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Returns ascending positions from `start` on that include those of the best documents, and their scores."""
        positions = None if allowed is None else np.flatnonzero(allowed[self.owners[start:]]) + start
        if positions is not None and len(positions) == len(self) - start:
            positions = None
        if query.scores is None or start != self.graph_count:
            approximate: NDArray[np.floating] = self._approximate(query.row, positions, start)
            approximate *= self._weights_at(weights, slice(start, None) if positions is None else positions)
        else:
            approximate = query.scores if positions is None else query.scores[positions - start]
        # Bounds the difference between the approximate scores and those of `dots`.
        length = 1.0 if self.similarity == "cosine" else float(np.linalg.norm(query.row.astype(np.float64)))
        error = 2 * self.dimension * float(np.finfo(np.float32).eps) * self.longest * length * float(weights.max())
        count = 2 * limit
        while True:
            last = -np.inf
            if count < len(approximate):
                last = float(np.partition(approximate, -count)[-count]) - error
            chosen = np.flatnonzero(approximate >= last - error)
            best = chosen + start if positions is None else positions[chosen]
            scores = dots(query.row, self._take(best))
            scores *= self._weights_at(weights, best)
            good = best[scores >= last]
            distinct = 1 + np.count_nonzero(np.diff(self.owners[good]))
            if count >= len(approximate) or (len(good) and distinct >= limit):
                return best, scores
            count *= 8

    def _approximate(self, row: NDArray[Any], positions: NDArray[np.int64] | None, start: int) -> NDArray[np.float64]:
        """Returns approximate scores from the fastest kernel, at `positions`, or at all positions from `start` on."""
        approximate = np.empty(len(self) - start if positions is None else len(positions))
        done = 0
        wide = row.astype(np.float32)
        for first, block in self._blocks(start):
            if positions is None:
                _approximate_into(row, wide, block, approximate[done : done + len(block.rows)])
                done += len(block.rows)
                continue
            end = int(np.searchsorted(positions, first + len(block.rows)))
            local = positions[done:end] - first
            if len(local) > GATHERED_SHARE * len(block.rows):
                every = np.empty(len(block.rows))
                _approximate_into(row, wide, block, every)
                approximate[done:end] = every[local]
            elif len(local):
                approximate[done:end] = dots(row, block.rows[local])
            done = end
        return approximate

    def _blocks(self, start: int) -> list[tuple[int, RowBlock]]:
        """Returns the blocks from `start` on, which is 0 or the end of the graph, each with its position."""
        blocks: list[tuple[int, RowBlock]] = []
        if self.graph is not None and start < len(self.graph):
            blocks.append((0, self.graph.block))
        first = self.graph_count
        for block in self.tail:
            blocks.append((first, block))
            first += len(block.rows)
        return blocks

    def _take(self, positions: NDArray[np.int64]) -> NDArray[Any]:
        """Returns the rows at ascending positions."""
        taken = [np.empty((0, self.dimension), dtype=row_dtype(self.storage))]
        done = 0
        for first, block in self._blocks(0):
            end = int(np.searchsorted(positions, first + len(block.rows)))
            if end > done:
                taken.append(block.rows[positions[done:end] - first])
            done = end
        return np.concatenate(taken)

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


def dots(row: NDArray[Any], rows: NDArray[Any]) -> NDArray[np.float64]:
    """Returns the dot products from which scores are computed."""
    if not len(rows):
        return np.empty(0)
    return np.asarray(numkong.cdist(row, rows, "dot"), dtype=np.float64).reshape(-1)


def _approximate_into(row: NDArray[Any], wide: NDArray[np.float32], block: RowBlock, out: NDArray[np.float64]) -> None:
    if block.wide is not None:
        out[:] = block.wide @ wide[0]  # Faster than NumKong, but rounded less precisely.
    else:
        numkong.cdist(row, block.rows, "dot", out=out[None, :])  # Into f64, since f32 would be much slower.
