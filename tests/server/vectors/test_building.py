import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from server.errors import BuildFailed, SnapshotError
from server.snapshot import CheckedFile, file_checksum
from server.vectors.building import SUFFIXES, BuiltGraph, GraphBuilder
from server.vectors.graph import Graph
from server.vectors.storage import STORAGES, Storage, row_dtype, to_rows

DIMENSION = 16


def make_rows(count: int, storage: Storage) -> NDArray[np.generic]:
    vectors = np.random.default_rng(count).standard_normal((count, DIMENSION)).astype(np.float32)
    return to_rows(vectors, "cosine", storage)


def build(folder: Path, rows: NDArray[np.generic], storage: Storage, base: BuiltGraph | None = None) -> BuiltGraph:
    return GraphBuilder(folder / str(len(rows)), storage=storage, base=base).run(np.array_split(rows, 3))


@pytest.mark.parametrize("storage", STORAGES)
def test_an_extended_graph_holds_the_old_and_the_new_rows(tmp_path: Path, storage: Storage) -> None:
    rows = make_rows(2200, storage)
    base = build(tmp_path, rows[:1500], storage)
    built = build(tmp_path, rows, storage, base)
    for each in (base, built):
        assert [file.checksum for file in each] == [file_checksum(file.path) for file in each]
    graph = Graph(built, storage=storage, workers=1)
    assert graph.block.rows.dtype == row_dtype(storage)
    assert np.array_equal(graph.block.rows, rows)
    for position in (0, 1499, 1500, 2199):
        assert position in graph.search(rows[position : position + 1], 3, 64)


@pytest.mark.parametrize("storage", STORAGES)
def test_equal_rows_share_a_node_and_are_all_found(tmp_path: Path, storage: Storage) -> None:
    distinct = make_rows(300, storage)
    rows = distinct[np.random.default_rng(7).integers(0, 300, 2000)]
    base = build(tmp_path, rows[:1200], storage)
    graph = Graph(build(tmp_path, rows, storage, base), storage=storage, workers=1)
    assert (len(graph), graph.node_count) == (2000, len(np.unique(rows, axis=0)))
    for row in distinct[:50]:
        nodes = np.sort(graph.search(row[None, :], 20, 64))
        positions, scores = graph.rows_of(nodes, np.arange(len(nodes), dtype=np.float64))
        assert np.array_equal(positions, np.flatnonzero((rows[:, None] == rows[nodes]).all(axis=2).any(axis=1)))
        assert all(
            (rows[position] == rows[nodes[int(score)]]).all() for position, score in zip(positions, scores, strict=True)
        )


def test_a_graph_removes_its_files_when_it_is_freed(tmp_path: Path) -> None:
    graph = Graph(build(tmp_path, make_rows(50, "i8"), "i8"), storage="i8", workers=1)
    assert len(list(tmp_path.iterdir())) == 3
    del graph
    assert list(tmp_path.iterdir()) == []


def test_more_threads_than_expected_search_at_once(tmp_path: Path) -> None:
    graph = Graph(build(tmp_path, make_rows(500, "f16"), "f16"), storage="f16", workers=1)

    def search(position: int) -> bool:
        row = graph.block.rows[position : position + 1]
        return all(position in graph.search(row, 5, 64) for _ in range(100))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(search, range(8)))


def test_a_build_whose_base_is_missing_fails_and_names_the_file(tmp_path: Path) -> None:
    missing = BuiltGraph(*(CheckedFile(tmp_path / f"none{suffix}", 0) for suffix in SUFFIXES))
    with pytest.raises(BuildFailed, match=r"none\.graph"):
        build(tmp_path, make_rows(10, "f16"), "f16", missing)
    assert list(tmp_path.iterdir()) == []


def test_files_of_different_graphs_are_rejected(tmp_path: Path) -> None:
    one, other = (build(tmp_path, make_rows(count, "f16"), "f16") for count in (50, 60))
    with pytest.raises(SnapshotError, match=r"50\.graph is not the graph of .*60\.npy"):
        Graph(one._replace(rows=other.rows), storage="f16", workers=1)


def test_the_process_exits_when_its_standard_input_closes(tmp_path: Path) -> None:
    """It closes when the server is killed."""
    np.save(tmp_path / "rows.npy", make_rows(200_000, "f16"))
    command = [sys.executable, "-m", "server.vectors.build_process", "--rows", str(tmp_path / "rows.npy")]
    command += ["--out", str(tmp_path / "a.graph"), "--firsts", str(tmp_path / "a.firsts.npy"), "--storage", "f16"]
    run = subprocess.run(command, input=b"", capture_output=True, timeout=60, check=False)
    assert run.returncode == 1
    assert not (tmp_path / "a.graph").exists()
