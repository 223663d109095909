"""Measures one index, in a separate process so that the memory is that of the index alone."""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.scale.made import Made
from benchmarks.scale.vectors import CHUNK_VECTORS, Source
from benchmarks.serving.figure import Figure
from benchmarks.serving.process import memory_of
from server.snapshot import read_snapshot
from server.vectors.build_process import NICENESS
from server.vectors.dense import DenseIndex
from server.vectors.storage import Storage, to_rows
from server.vectors.view import DenseView, Match

SEARCHES = 2000

EXACT = 50
"""Number of searches that compare every vector."""

SHARES = {"50 %": 0.5, "1 %": 0.01, "0.01 %": 0.0001}

FILTERED = 20
"""Number of searches with each filter."""

ROUNDING = 1e-5
"""Tolerance of sums in f32."""

UPDATING_SECONDS = 4

UPDATE_DOCUMENTS = 10

TARGETS: dict[int, dict[str, float]] = {
    100_000: {"p50": 1, "p99": 3, "recall": 0.99, "start": 3},
    1_000_000: {"p99": 10, "recall": 0.97, "start": 10, "memory": 1.6},
}
"""The targets: milliseconds, shares, seconds, and multiples of the f16 vectors' bytes."""


def measure(source: Source, made: Made, size: int, storage: Storage, folder: Path) -> Iterator[Figure]:
    """Yields the figures of an index, measured on one thread unless a figure says otherwise."""
    targets = TARGETS.get(size, {})
    yield Figure("append", [size / made.append_seconds], "{:,.0f} vectors/s")
    if made.build_seconds:
        rate = f"{size / made.build_seconds:,.0f} vectors/s, with a niceness of {NICENESS}"
        yield Figure("build", [made.build_seconds], "{:,.0f} s", note=rate)
    yield Figure("disk", [made.disk_bytes / 1e6], "{:,.1f} MB")

    vectors_bytes = size * source.dimension * 2
    queries = source.queries(SEARCHES)
    _forget(made.directory)
    before = memory_of(os.getpid())
    started = time.perf_counter()
    index = DenseIndex(source.dimension, "cosine", storage, folder=folder)
    snapshot = read_snapshot(made.directory, index.view().facts)
    index.restore(snapshot.parts["dense"], snapshot.files)
    found = index.view().search(queries[0], limit=10)
    seconds = time.perf_counter() - started
    yield Figure("start from the disk, checksum and first search", [seconds], "{:.2f} s", at_most=targets.get("start"))
    assert len(found) == 10
    view = index.view()
    searched = [_milliseconds(view, query) for query in queries]
    yield from _latency("search", searched, targets)
    view.search(queries[0], limit=10, exact=True)  # Loads every row into memory.
    resident = (memory_of(os.getpid()) - before) / vectors_bytes
    mapped = sum(file.path.stat().st_size for file in view.files.values())
    computed = (mapped + sum(array.nbytes for array in view.arrays.values())) / vectors_bytes
    note = f"{computed:.2f} computed; the vectors in f16 are {vectors_bytes / 1e6:,.1f} MB"
    yield Figure("memory, in vectors of f16", [resident], "{:.2f} ×", at_most=targets.get("memory"), note=note)

    yield from _recall(source, view, queries, targets)
    yield from _filtered(source, view, queries[:FILTERED])
    yield from _updated(source, index, queries)
    index.close()


def _recall(
    source: Source, view: DenseView, queries: NDArray[np.float32], targets: dict[str, float]
) -> Iterator[Figure]:
    right = _best_scores(source, view, queries, np.ones(len(view), np.bool_))
    recalls = [_share_found(view.search(query, limit=10), best) for query, best in zip(queries, right, strict=True)]
    ef_search = view.ef_search.at(view.graph_count)
    kind = f"{len(recalls)} queries, ef_search {ef_search}" if view.graph_count else "exact search"
    yield Figure("recall@10", [float(np.mean(recalls))], "{:.4f}", at_least=targets.get("recall"), note=kind)
    exact = [_milliseconds(view, query, exact=True) for query in queries[:EXACT]]
    yield Figure("exact search p50", [float(np.median(exact))], "{:.2f} ms")


def _share_found(found: list[Match], best: NDArray[np.float32]) -> float:
    """Returns the share of the best scores that were found, counting equal scores."""
    least = float(best.min()) - ROUNDING
    return sum(match.score >= least for match in found) / len(best)


def _filtered(source: Source, view: DenseView, queries: NDArray[np.float32]) -> Iterator[Figure]:
    size = len(view)
    chosen = np.random.default_rng(0).permutation(size)
    allowed = {name: np.zeros(size, np.bool_) for name in SHARES}
    for name, share in SHARES.items():
        allowed[name][chosen[: max(1, round(share * size))]] = True
    right = {name: _best_scores(source, view, queries, mask) for name, mask in allowed.items()}
    for name, mask in allowed.items():
        taken, recalls = [], []
        for query, scores in zip(queries, right[name], strict=True):
            started = time.perf_counter()
            found = view.search(query, limit=10, allowed=mask, exact=True)
            taken.append(1000 * (time.perf_counter() - started))
            assert all(mask[match.slot] for match in found)
            recalls.append(_share_found(found, scores))
        yield Figure(f"filter of {name}: recall@10", [float(np.mean(recalls))], "{:.4f}", at_least=1)
        yield from _latency(f"filter of {name}:", taken, {})


def _best_scores(
    source: Source, view: DenseView, queries: NDArray[np.float32], mask: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Returns the ten best scores `[N, 10]` of each query, unordered, computed with NumPy."""
    best = np.full((len(queries), 0), -np.inf, dtype=np.float32)
    rows = to_rows(queries, "cosine", view.storage).astype(np.float32)
    for start in range(0, len(view), CHUNK_VECTORS):
        part = mask[start : start + CHUNK_VECTORS]
        vectors = to_rows(source.documents(len(part), start=start)[part], "cosine", view.storage).astype(np.float32)
        best = np.concatenate((best, rows @ vectors.T), axis=1)
        if best.shape[1] > 10:
            best = np.partition(best, -10, axis=1)[:, -10:]
    return best


def _updated(source: Source, index: DenseIndex, queries: NDArray[np.float32]) -> Iterator[Figure]:
    """Measures appends on one thread, with a view after each call, while another searches the latest view."""
    latest = [index.view()]
    taken: list[float] = []
    ended = threading.Event()

    def search() -> None:
        while not ended.is_set():
            taken.append(_milliseconds(latest[0], queries[len(taken) % len(queries)]))

    searcher = threading.Thread(target=search)
    vectors = source.documents(CHUNK_VECTORS, start=0)
    searcher.start()
    calls: list[float] = []
    started = time.perf_counter()
    while (seconds := time.perf_counter() - started) < UPDATING_SECONDS:
        first = len(index)
        slots = np.arange(first, first + UPDATE_DOCUMENTS, dtype=np.int32)
        zeros = np.zeros(UPDATE_DOCUMENTS, np.int32)
        at = UPDATE_DOCUMENTS * len(calls) % (CHUNK_VECTORS - UPDATE_DOCUMENTS)
        moved = vectors[at : at + UPDATE_DOCUMENTS]
        before = time.perf_counter()
        index.append(slots, zeros, zeros.astype(np.uint8), moved)
        latest[0] = index.view()
        calls.append(1000 * (time.perf_counter() - before))
        time.sleep(0.01)  # Stands for encoding and committing an update.
    ended.set()
    searcher.join()
    rate = len(calls) * UPDATE_DOCUMENTS / seconds
    note = f"a call of {UPDATE_DOCUMENTS}: p50 {np.median(calls):.2f} ms, p99 {np.percentile(calls, 99):.2f} ms"
    yield Figure("documents appended while searching", [rate], "{:,.0f}/s", note=note)
    yield from _latency("search during appends", taken, {})


def _latency(name: str, milliseconds: list[float], targets: dict[str, float]) -> Iterator[Figure]:
    for percentile in (50, 99):
        value, target = float(np.percentile(milliseconds, percentile)), targets.get(f"p{percentile}")
        yield Figure(f"{name} p{percentile}", [value], "{:.2f} ms", at_most=target)


def _milliseconds(view: DenseView, query: NDArray[np.float32], *, exact: bool = False) -> float:
    started = time.perf_counter()
    view.search(query, limit=10, exact=exact)
    return 1000 * (time.perf_counter() - started)


def _forget(directory: Path) -> None:
    """Drops files from the page cache, so that a start reads them from disk."""
    for path in directory.iterdir():
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)
