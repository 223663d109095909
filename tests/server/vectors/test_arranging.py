from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from usearch.index import Index

from server.errors import BuildFailed
from server.vectors.arranging import arrange
from server.vectors.layout import METRIC_OF, graph_rows, map_places, map_rows, rows_path, to_graph
from server.vectors.storage import STORAGES, Storage
from server.vectors.view import to_rows

COUNT = 4000
DIMENSION = 24


def clustered(count: int, seed: int) -> NDArray[np.float32]:
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(0).standard_normal((100, DIMENSION))
    moved: NDArray[np.float32] = (
        centres[random.integers(0, 100, count)] + 0.3 * random.standard_normal((count, DIMENSION))
    ).astype(np.float32)
    return moved


def save(folder: Path, storage: Storage) -> tuple[Path, NDArray[Any]]:
    """Returns the file that USearch writes of a graph, and its rows by position."""
    rows = to_rows(clustered(COUNT, 1), "cosine", storage)
    # Few neighbours make many levels.
    index = Index(ndim=DIMENSION, metric=METRIC_OF[storage], dtype=storage, connectivity=5, enable_key_lookups=False)
    index.add(np.arange(COUNT, dtype=np.uint64), to_graph(rows, storage), threads=1)
    index.save(str(folder / "saved.graph"))
    rows_path(folder / "saved.graph").write_bytes(rows.tobytes())
    return folder / "saved.graph", rows


def random_order(count: int) -> NDArray[np.int64]:
    return np.random.default_rng(count).permutation(count)


def opened(path: Path) -> Any:
    return Index.restore(str(path), view=False, enable_key_lookups=False)


@pytest.mark.parametrize("storage", STORAGES)
def test_searches_find_the_same_at_the_same_distances(tmp_path: Path, storage: Storage) -> None:
    saved, rows = save(tmp_path, storage)
    out = tmp_path / "arranged.graph"
    arrange(saved, out, random_order(COUNT), dimension=DIMENSION, storage=storage)
    before, after = opened(saved), opened(out)
    assert before.max_level >= 3
    assert after.max_level == before.max_level
    for effort in (10, 64):
        before.expansion_search = after.expansion_search = effort
        for query in to_graph(to_rows(clustered(50, 2), "cosine", storage), storage):
            there, here = before.search(query, 10, threads=1), after.search(query, 10, threads=1)
            assert np.array_equal(there.distances, here.distances)
            assert sorted(there.keys.tolist()) == sorted(here.keys.tolist())
            assert there.computed_distances == here.computed_distances
    mapped, arranged = map_rows(out, COUNT, dimension=DIMENSION, storage=storage)
    places = map_places(out, COUNT)
    assert np.array_equal(arranged[places], rows)
    assert np.array_equal(graph_rows(mapped, COUNT)[places], to_graph(rows, storage).view(np.uint8))


def test_what_was_arranged_can_be_added_to_and_arranged_again(tmp_path: Path) -> None:
    saved, rows = save(tmp_path, "f16")
    once, more, twice = (tmp_path / f"{name}.graph" for name in ("once", "more", "twice"))
    arrange(saved, once, random_order(COUNT), dimension=DIMENSION, storage="f16")
    index = Index.restore(str(once), view=False, enable_key_lookups=False)
    assert index is not None
    added = to_rows(clustered(500, 3), "cosine", "f16")
    index.add(np.arange(COUNT, COUNT + 500, dtype=np.uint64), added, threads=1)
    index.save(str(more))
    arrange(more, twice, random_order(COUNT + 500), dimension=DIMENSION, storage="f16")
    _, arranged = map_rows(twice, COUNT + 500, dimension=DIMENSION, storage="f16")
    assert np.array_equal(arranged[map_places(twice, COUNT + 500)], np.concatenate((rows, added)))
    found = opened(twice).search(added[7], 1, threads=1)
    assert found.keys.tolist() == [COUNT + 7]


FACTS = 8 + COUNT * DIMENSION * 2 + 64

NODE = FACTS + 40 + 2 * COUNT


@pytest.mark.parametrize(
    ("start", "bytes_there"),
    [
        pytest.param(-4, b"", id="cut short"),
        pytest.param(FACTS + 20, b"", id="cut in half"),
        pytest.param(FACTS + 16, b"\x0b", id="another room for neighbours"),
        pytest.param(FACTS + 32, b"\xff\xff", id="no such entry"),
        pytest.param(NODE, b"\x01", id="a position twice"),
        pytest.param(NODE + 10, b"\x0b", id="too many neighbours"),
        pytest.param(NODE + 14, b"\xff\xff", id="no such neighbour"),
    ],
)
def test_a_file_that_is_laid_out_otherwise_is_refused(tmp_path: Path, start: int, bytes_there: bytes) -> None:
    saved, _ = save(tmp_path, "f16")
    content = saved.read_bytes()
    rest = content[start + len(bytes_there) :] if bytes_there else b""
    saved.write_bytes(content[:start] + bytes_there + rest)
    with pytest.raises(BuildFailed, match=r"saved\.graph is not laid out"):
        arrange(saved, tmp_path / "arranged.graph", random_order(COUNT), dimension=DIMENSION, storage="f16")
