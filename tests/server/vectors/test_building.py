from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from server.errors import BuildFailed
from server.vectors.building import Builder, Built
from server.vectors.checksum import file_checksum
from server.vectors.graph import Graph
from server.vectors.layout import graph_files, row_dtype
from server.vectors.storage import STORAGES, Storage
from server.vectors.view import to_rows

DIMENSION = 16


def make_rows(count: int, storage: Storage) -> NDArray[np.generic]:
    vectors = np.random.default_rng(count).standard_normal((count, DIMENSION)).astype(np.float32)
    return to_rows(vectors, "cosine", storage)


def build(folder: Path, rows: NDArray[np.generic], storage: Storage, base: Built | None = None) -> Built:
    out = folder / f"{len(rows) + (base.count if base else 0)}.graph"
    return Builder(out, dimension=DIMENSION, storage=storage, base=base).run(np.array_split(rows, 3), len(rows))


@pytest.mark.parametrize("storage", STORAGES)
def test_a_graph_holds_its_rows_and_those_that_extended_it(tmp_path: Path, storage: Storage) -> None:
    first, more = make_rows(1500, storage), make_rows(700, storage)
    base = build(tmp_path, first, storage)
    built = build(tmp_path, more, storage, base)
    assert (base.count, built.count) == (1500, 2200)
    assert built.reachable > 0.95
    for each in (base, built):
        checksums = {path.suffix: file_checksum(path) for path in graph_files(each.path, storage)}
        assert each.checksums == checksums
    graph = Graph(built, dimension=DIMENSION, storage=storage, searchers=1, verify=True)
    assert graph.rows.dtype == row_dtype(storage)
    assert np.array_equal(graph.take(np.arange(2200)), np.concatenate((first, more)))
    for position in (0, 1499, 1500, 2199):
        assert position in graph.search(graph.take(np.array([position])), 3, 64)


def test_near_rows_lie_beside_each_other(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    centres = random.standard_normal((100, DIMENSION))
    vectors = centres[random.integers(0, 100, 3000)] + 0.1 * random.standard_normal((3000, DIMENSION))
    rows = to_rows(vectors.astype(np.float32), "cosine", "f16")
    graph = Graph(build(tmp_path, rows, "f16"), dimension=DIMENSION, storage="f16", searchers=1)

    def steps(rows: NDArray[np.generic]) -> float:
        return float(np.linalg.norm(np.diff(rows.astype(np.float64), axis=0), axis=1).mean())

    assert steps(graph.rows) < 0.5 * steps(rows)


def test_a_graph_removes_its_files_when_nobody_uses_it_any_more(tmp_path: Path) -> None:
    graph = Graph(build(tmp_path, make_rows(50, "i8"), "i8"), dimension=DIMENSION, storage="i8", searchers=1)
    assert len(list(tmp_path.iterdir())) == 3
    del graph
    assert list(tmp_path.iterdir()) == []


def test_more_threads_than_expected_search_at_once(tmp_path: Path) -> None:
    graph = Graph(build(tmp_path, make_rows(500, "f16"), "f16"), dimension=DIMENSION, storage="f16", searchers=1)
    found: list[bool] = []

    def search(position: int) -> None:
        row = graph.take(np.array([position]))
        found.extend(position in graph.search(row, 5, 64) for _ in range(100))

    threads = [threading.Thread(target=search, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 800


def test_a_build_without_its_base_fails_and_says_why(tmp_path: Path) -> None:
    missing = Built(tmp_path / "none.graph", 10, {}, 1.0)
    with pytest.raises(BuildFailed, match=r"none\.graph"):
        build(tmp_path, make_rows(10, "f16"), "f16", missing)
    assert list(tmp_path.iterdir()) == []


def test_a_build_that_fails_at_its_end_leaves_nothing(tmp_path: Path) -> None:
    base = build(tmp_path, make_rows(300, "i8"), "i8")
    path = base.path.with_suffix(".places")
    np.fromfile(path, np.uint32)[::-1].tofile(path)
    before = set(tmp_path.iterdir())
    with pytest.raises(BuildFailed, match="does not hold the rows as they were added"):
        build(tmp_path, make_rows(50, "i8"), "i8", base)
    assert set(tmp_path.iterdir()) == before


def test_a_cancelled_build_leaves_nothing(tmp_path: Path) -> None:
    builder = Builder(tmp_path / "a.graph", dimension=DIMENSION, storage="f16")
    builder.cancel()
    with pytest.raises(BuildFailed, match="cancelled"):
        builder.run([make_rows(100, "f16")], 100)
    assert list(tmp_path.iterdir()) == []


def test_the_process_ends_when_its_rows_do(tmp_path: Path) -> None:
    """As they do when the server was killed."""
    command = [sys.executable, "-m", "server.vectors.child", "--out", str(tmp_path / "a.graph")]
    command += ["--dimension", str(DIMENSION), "--storage", "f16", "--count", "5000"]
    rows = make_rows(2000, "f16").tobytes()
    run = subprocess.run(command, input=rows, capture_output=True, timeout=60, check=False)
    assert run.returncode == 1
    assert b"the rows ended early" in run.stderr
    assert list(tmp_path.iterdir()) == []
