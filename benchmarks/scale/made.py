"""Snapshots of indexes, built once and kept: a million vectors take more than 15 minutes."""

import importlib.metadata
import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.scale.vectors import CHUNK_VECTORS, Source
from server.defaults import HNSW_FROM_VECTORS
from server.snapshot import VERSION, write_snapshot
from server.vectors.dense import DenseIndex, DenseOptions
from server.vectors.storage import Storage


@dataclass(frozen=True)
class Made:
    """A snapshot.

    Attributes:
        directory: Folder of the snapshot.
        append_seconds: Time to append the vectors.
        build_seconds: Time to build the graph afterwards; 0 without a graph.
    """

    directory: Path
    append_seconds: float
    build_seconds: float

    @property
    def disk_bytes(self) -> int:
        """Size on disk in bytes."""
        return sum(path.stat().st_size for path in self.directory.iterdir())


def make(source: Source, folder: Path, size: int, storage: Storage) -> Made:
    """Returns the snapshot of an index of `size` vectors, one per document; builds it if the folder lacks it."""
    kept = folder / f"{source.revision}-usearch-{importlib.metadata.version('usearch')}-{VERSION}-{storage}-{size}"
    described = kept / "made.json"
    if not described.exists():
        shutil.rmtree(kept, ignore_errors=True)
        (kept / "snapshot").mkdir(parents=True)
        options = DenseOptions(hnsw_from_vectors=max(size, HNSW_FROM_VECTORS))
        index = DenseIndex(source.dimension, "cosine", storage, folder=kept / "graphs", options=options)
        append_seconds = 0.0
        for start in range(0, size, CHUNK_VECTORS):
            count = min(CHUNK_VECTORS, size - start)
            vectors = source.documents(count, start=start)
            slots = np.arange(start, start + count, dtype=np.int32)
            started = time.perf_counter()
            index.append(slots, np.zeros(count, np.int32), np.zeros(count, np.uint8), vectors)
            append_seconds += time.perf_counter() - started
        started = time.perf_counter()
        index.wait()
        build_seconds = time.perf_counter() - started if index.view().graph_count else 0.0
        view = index.view()
        write_snapshot(kept / "snapshot", view.facts, parts={"dense": view.arrays}, files=view.files)
        index.close()
        described.write_text(json.dumps({"append_seconds": append_seconds, "build_seconds": build_seconds}))
    return Made(kept / "snapshot", **json.loads(described.read_text(encoding="utf-8")))
