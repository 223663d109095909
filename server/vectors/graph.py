"""An open graph: approximate neighbours, and the rows of its vectors.

Candidates come from USearch's file, and their scores from a separate file of rows. Both files are mapped into memory. A
USearch object runs one search at a time, so several objects share the mapping; each takes some memory per node.
Equal rows share one node, whose key is the position of the first of them.
"""

import weakref
from collections import deque
from typing import Any

import numpy as np
import onnxruntime  # noqa: F401  Must precede USearch 2.26: ONNX Runtime 1.32 crashes otherwise.
from numpy.typing import NDArray
from usearch.index import Index

from server.errors import SnapshotError, first_line
from server.vectors.building import BuiltGraph
from server.vectors.rows import RowBlock
from server.vectors.storage import Storage, to_graph


class Graph:
    """An immutable graph, safe to search from many threads at once. Its files are removed when it is freed."""

    def __init__(self, built: BuiltGraph, *, storage: Storage, workers: int) -> None:
        """Opens a graph with a USearch object for each of `workers`; more open on demand. Raises SnapshotError."""
        self.built = built
        self._storage: Storage = storage
        weakref.finalize(self, built.remove)
        try:
            self._mapped = np.memmap(built.graph.path, mode="r")
            rows = np.asarray(np.load(built.rows.path, mmap_mode="r"))
            firsts = np.load(built.firsts.path)
        except (OSError, ValueError) as error:
            raise SnapshotError(f"{built.graph.path} cannot be opened: {first_line(error)}") from error
        if len(firsts) != len(rows):
            raise self._mismatch()
        # Rows in f16 are too many to be kept in f32 as well.
        self.block = RowBlock(rows, rows if rows.dtype == np.float32 else None)
        duplicates = np.flatnonzero(firsts != np.arange(len(firsts)))
        self.node_count = len(firsts) - len(duplicates)
        self._duplicates = duplicates[np.argsort(firsts[duplicates], kind="stable")]
        self._duplicated = firsts[self._duplicates]  # For each duplicate the first equal row, ascending.
        self._idle = deque(self._open() for _ in range(workers))

    def __len__(self) -> int:
        return len(self.block.rows)

    def search(self, row: NDArray[Any], count: int, ef_search: int) -> NDArray[np.int64]:
        """Returns up to `count` of the nodes nearest to `row` `[1, dimension]`, in no particular order."""
        try:
            searcher = self._idle.pop()
        except IndexError:
            searcher = self._open()
        try:
            searcher.expansion_search = max(ef_search, count)
            keys = searcher.search(to_graph(row, self._storage)[0], count, threads=1).keys
        finally:
            self._idle.append(searcher)
        return np.asarray(keys).astype(np.int64)

    def rows_of(
        self, nodes: NDArray[np.int64], scores: NDArray[np.float64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Returns the positions of all rows of the ascending `nodes` `[N]`, also ascending, and the rows' scores."""
        starts, ends = (np.searchsorted(self._duplicated, nodes, side) for side in ("left", "right"))
        counts = ends - starts
        if not counts.any():
            return nodes, scores
        before = np.cumsum(counts) - counts
        places = np.arange(counts.sum()) + np.repeat(starts - before, counts)
        positions = np.concatenate((nodes, self._duplicates[places]))
        order = np.argsort(positions)
        return positions[order], np.concatenate((scores, np.repeat(scores, counts)))[order]

    def _open(self) -> Any:
        try:
            opened: Any = Index.restore(self._mapped.data, view=True, enable_key_lookups=False)
        except (RuntimeError, ValueError) as error:
            raise SnapshotError(f"{self.built.graph.path} cannot be opened: {first_line(error)}") from error
        if opened is None or (len(opened), opened.ndim) != (self.node_count, self.block.rows.shape[1]):
            raise self._mismatch()
        return opened

    def _mismatch(self) -> SnapshotError:
        return SnapshotError(f"{self.built.graph.path} is not the graph of {self.built.rows.path}")
