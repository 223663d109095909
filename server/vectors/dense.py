"""The live index of vectors: one thread appends, many threads search views, and graphs are built in the background.

Below `hnsw_from_vectors` vectors, a search compares all of them. Above, it searches a graph of most vectors and
compares the newest ones directly. Appended vectors are in the next view. Vectors are never removed: each search says
which documents it may find.
"""

import logging
import shutil
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from server.defaults import EF_SEARCH, HNSW_FROM_VECTORS, MIN_RECALL
from server.errors import BuildFailed, SnapshotError
from server.growing import Growing
from server.similarity import Similarity
from server.snapshot import Arrays, CheckedFile, link
from server.vectors.building import GRAPH_FILES, GRAPHS_PREFIX, BuiltGraph, GraphBuilder
from server.vectors.ef_search import EfSearch
from server.vectors.graph import Graph
from server.vectors.recall import QueryKind, RecallWatch
from server.vectors.rows import Rows
from server.vectors.storage import Storage, check_storage, row_dtype, to_rows
from server.vectors.view import DenseView

log = logging.getLogger(__name__)


class OnBuild(Protocol):
    """Called after each build of a graph, in a thread of the index, unless the index is closed."""

    def __call__(self, *, failed: bool, seconds: float) -> None:
        """Takes whether the build failed, and its duration."""


def _ignore(*, failed: bool, seconds: float) -> None:
    """Does nothing after a build."""


@dataclass(frozen=True, kw_only=True)
class DenseOptions:
    """Options of searching and building.

    Attributes:
        hnsw_from_vectors: Number of vectors from which a graph is built.
        tail_least: Minimum number of vectors outside the graph at which it is extended.
        tail_share: The same as a share of those in it; both must be reached, because extending writes the whole file.
        ef_search: Candidates that a search keeps in a graph of up to 100,000 vectors.
        workers: Number of threads expected to search at the same time.
        min_recall: Recall at 10 below which `ef_search` is raised.
        on_build: Called after each build of a graph.
    """

    hnsw_from_vectors: int = HNSW_FROM_VECTORS
    tail_least: int = 2_500
    tail_share: float = 0.03
    ef_search: int = EF_SEARCH
    workers: int = 2
    min_recall: float = MIN_RECALL
    on_build: OnBuild = _ignore


class DenseIndex:
    """The vectors of documents, in the order of their slots."""

    def __init__(
        self,
        dimension: int,
        similarity: Similarity,
        storage: Storage,
        *,
        folder: Path,
        options: DenseOptions | None = None,
    ) -> None:
        """Makes an empty index. It builds graphs in a new folder within `folder`, on the same disk as the snapshots.

        Raises SettingsError if the similarity cannot be computed with this storage.
        """
        check_storage(storage, similarity)
        self._dimension = dimension
        self._similarity: Similarity = similarity
        self._storage: Storage = storage
        self._options = options or DenseOptions()
        folder.mkdir(0o700, parents=True, exist_ok=True)
        self._folder = Path(tempfile.mkdtemp(prefix=GRAPHS_PREFIX, dir=folder))
        self._lock = threading.RLock()
        self._rows = Rows(dimension, row_dtype(storage))
        self._owners, self._parts = Growing(np.empty(0, np.int32)), Growing(np.empty(0, np.int32))
        self._fields = Growing(np.empty(0, np.uint8))
        self._longest = 1.0 if similarity == "cosine" else 0.0
        self._graph: Graph | None = None
        self._ef_search = EfSearch(self._options.ef_search)
        self._recall = RecallWatch(self._ef_search, self._options.min_recall)
        self._next_build = self._options.hnsw_from_vectors
        self._builder: GraphBuilder | None = None
        self._building: threading.Thread | None = None
        self._closed = False
        self.graph_generation = 0  # Number of graphs built so far. `view()` uses the newest.

    def __len__(self) -> int:
        return self._rows.count

    @property
    def ef_search(self) -> int:
        """Candidates that a search keeps at present in a graph of up to 100,000 vectors."""
        return self._ef_search.value

    @ef_search.setter
    def ef_search(self, value: int) -> None:
        self._ef_search.value = value

    @property
    def recall(self) -> dict[QueryKind, float]:
        """Recall at 10 of the graph as last measured, for each kind of query; 1 before the first measurement."""
        return self._recall.means

    def append(
        self,
        owners: NDArray[np.int32],
        parts: NDArray[np.int32],
        fields: NDArray[np.uint8],
        vectors: NDArray[np.float32],
    ) -> None:
        """Appends the vectors `[V, dimension]` of documents. The next view has them.

        `owners`, `parts` and `fields` are as in `DenseView`. Owners ascend within a call and from call to call.
        """
        rows = to_rows(vectors, self._similarity, self._storage)
        with self._lock:
            last = int(self._owners.view()[-1]) if len(self) else 0
            assert not len(owners) or (owners[0] >= last and (np.diff(owners) >= 0).all()), "slots are in order"
            if self._similarity == "dot" and len(rows):
                self._longest = max(self._longest, float(np.linalg.norm(rows.astype(np.float64), axis=1).max()))
            self._rows.append(rows)
            self._owners.extend(owners)
            self._parts.extend(parts)
            self._fields.extend(fields)
            self._start_building()

    def view(self) -> DenseView:
        """Returns a view of all vectors appended so far, with the newest graph."""
        with self._lock:
            return DenseView(
                dimension=self._dimension,
                similarity=self._similarity,
                storage=self._storage,
                graph=self._graph,
                tail=self._rows.blocks(0 if self._graph is None else len(self._graph)),
                owners=self._owners.view(),
                parts=self._parts.view(),
                fields=self._fields.view(),
                longest=self._longest,
                ef_search=self._ef_search,
                observe=self._recall.observe,
            )

    def wait(self, timeout_seconds: float | None = None) -> bool:
        """Waits for the current build of a graph to end; returns whether it has ended."""
        if (building := self._building) is None:
            return True
        building.join(timeout_seconds)
        return not building.is_alive()

    def close(self) -> None:
        """Ends the background work and removes the folder. Views still work."""
        with self._lock:
            self._closed = True
            builder = self._builder
        self._recall.close()
        if builder is not None:
            builder.cancel()
        self.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def restore(self, arrays: Arrays, files: Mapping[str, CheckedFile]) -> None:
        """Loads a snapshot into this empty index; raises SnapshotError. The snapshot may be removed afterwards."""
        assert not len(self), "the index is empty"
        if files:
            built = BuiltGraph(*(CheckedFile(self._folder / name, files[name].checksum) for name in GRAPH_FILES))
            for name, file in zip(GRAPH_FILES, built, strict=True):
                link(files[name].path, file.path)
            self._graph = Graph(built, storage=self._storage, workers=self._options.workers)
            self._rows = Rows(self._dimension, row_dtype(self._storage), start=len(self._graph))
            self._plan_build(len(self._graph))
        tail = arrays["tail"]
        counts = {self._rows.count + len(tail), *(len(arrays[name]) for name in ("owners", "parts", "fields"))}
        if len(counts) > 1 or tail.shape[1:] != (self._dimension,):
            raise SnapshotError("the arrays of a snapshot have different numbers of vectors, or the wrong dimension")
        self._rows.append(tail)
        self._owners, self._parts, self._fields = map(Growing, (arrays["owners"], arrays["parts"], arrays["fields"]))
        self._longest = float(arrays["longest"])
        with self._lock:
            self._start_building()

    def _plan_build(self, count: int) -> None:
        """Plans the build that follows one of `count` vectors. The caller holds the lock."""
        self._next_build = count + max(self._options.tail_least, int(count * self._options.tail_share))

    def _start_building(self) -> None:
        """Starts a build if one is due. The caller holds the lock."""
        if self._closed or self._building is not None or len(self) < max(self._next_build, 1):
            return
        self._building = threading.Thread(target=self._build, name="index-building", daemon=True)
        self._building.start()

    def _build(self) -> None:
        while True:
            with self._lock:
                if self._closed or len(self) < self._next_build:
                    self._building = None
                    return
                view = self.view()
                base = self._graph
                self._builder = GraphBuilder(
                    self._folder / str(len(self)), storage=self._storage, base=None if base is None else base.built
                )
            started = time.monotonic()
            built = self._built(self._builder, view)
            if not self._closed:
                self._options.on_build(failed=built is None, seconds=time.monotonic() - started)
            with self._lock:
                self._builder = None
                if built is not None:
                    self._graph = built
                    self._rows.drop_before(len(built))
                self._plan_build(len(self) if built is None else len(built))
            if built is not None:
                self.graph_generation += 1

    def _built(self, builder: GraphBuilder, view: DenseView) -> Graph | None:
        """Builds and returns the graph of a view; None if that fails."""
        try:
            graph_rows = [] if view.graph is None else [view.graph.block.rows]
            built = builder.run(graph_rows + [block.rows for block in view.tail])
            graph = Graph(built, storage=self._storage, workers=self._options.workers)
        except (BuildFailed, SnapshotError, OSError) as error:
            if not self._closed:
                log.warning("the index continues without a new graph: %s", error)
            return None
        except Exception:  # An unexpected error must not prevent later builds.
            log.exception("the index continues without a new graph")
            return None
        log.info("the graph of the index has %d vectors", len(graph))
        return graph
