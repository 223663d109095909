"""A graph that was built, opened: approximate neighbours, and its rows.

The file is mapped once and never read into memory of its own. USearch serves one search at a time on each of its
objects, so there are several over the one mapping, handed out in turns; each costs 8 bytes a row.
"""

from __future__ import annotations

import weakref
import zlib
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime  # noqa: F401  before USearch: ONNX Runtime 1.32 crashes when it is imported after USearch 2.26
from numpy.typing import NDArray
from usearch.index import Index

from server.errors import SnapshotError, first_line
from server.vectors.building import Built
from server.vectors.layout import check_header, graph_files, map_places, map_rows, to_graph
from server.vectors.storage import Storage


class Graph:
    """Immutable, and safe to search from many threads at once. Its files are removed with it.

    Attributes:
        built: The files.
        rows: The rows `[count, dimension]` that scores come from, by place.
        places: For each position the place of its row, `[count]`.
    """

    def __init__(self, built: Built, *, dimension: int, storage: Storage, searchers: int, verify: bool = False) -> None:
        """Opens a graph.

        Args:
            built: Its files. They are this object's own from now on.
            dimension: Numbers of a vector.
            storage: How vectors are kept.
            searchers: Threads that are expected to search at once. More wait for their own first opening.
            verify: Whether the files are compared with their checksums.

        Raises:
            SnapshotError: The files are not those of this graph.
        """
        self.built = built
        self._storage: Storage = storage
        weakref.finalize(self, _remove, graph_files(built.path, storage))
        try:
            check_header(built.path, built.count, dimension=dimension, storage=storage)
            mapped, rows = map_rows(built.path, built.count, dimension=dimension, storage=storage)
            self.places = map_places(built.path, built.count)
        except (OSError, ValueError) as error:
            raise SnapshotError(f"{built.path} cannot be opened: {first_line(error)}") from error
        self._mapped = mapped
        self.rows: NDArray[Any] = rows
        if verify:
            self._verify()
        self._idle = deque(self._open() for _ in range(searchers))

    def __len__(self) -> int:
        return self.built.count

    @property
    def memory_bytes(self) -> int:
        """Bytes that are mapped, and those of the objects over them."""
        own_rows = self.rows.nbytes if self._storage == "i8" else 0
        return self._mapped.nbytes + self.places.nbytes + own_rows + 8 * len(self) * len(self._idle)

    @property
    def wide(self) -> NDArray[np.float32] | None:
        """The rows in f32, by place, where that is what they are kept in: they are too many to be kept twice."""
        return self.rows if self.rows.dtype == np.float32 else None

    def take(self, positions: NDArray[np.int64]) -> NDArray[Any]:
        """Returns the rows at some positions."""
        return self.rows[self.places[positions]]

    def search(self, row: NDArray[Any], count: int, effort: int) -> NDArray[np.int64]:
        """Returns the positions of about the `count` rows nearest to one, in no order that counts.

        Args:
            row: What is searched for, `[1, dimension]`, as rows are kept.
            count: Number of positions.
            effort: Nodes that are kept in mind while walking, HNSW's ef.
        """
        try:
            searcher = self._idle.pop()
        except IndexError:
            searcher = self._open()
        try:
            searcher.expansion_search = max(effort, count)
            keys = searcher.search(to_graph(row, self._storage)[0], count, threads=1).keys
        finally:
            self._idle.append(searcher)
        return np.asarray(keys).astype(np.int64)

    def _verify(self) -> None:
        """Reads everything through the mapping, which also brings it into memory before it is searched."""
        parts: list[NDArray[Any]] = [self._mapped, self.places, *([self.rows] if self._storage == "i8" else [])]
        for path, mapped in zip(graph_files(self.built.path, self._storage), parts, strict=True):
            if zlib.crc32(mapped.reshape(-1).view(np.uint8).data) != self.built.checksums.get(path.suffix):
                raise SnapshotError(f"{path} is damaged: its checksum differs")

    def _open(self) -> Any:
        try:
            opened: Any = Index.restore(self._mapped.data, view=True, enable_key_lookups=False)
        except (RuntimeError, ValueError) as error:
            raise SnapshotError(f"{self.built.path} cannot be opened: {error}") from error
        if opened is None or len(opened) != len(self):
            raise SnapshotError(f"{self.built.path} is not the graph that it should be")
        return opened


def _remove(paths: list[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
