from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from server.errors import SnapshotError
from server.similarity import Similarity
from server.vectors.dense import DenseIndex, DenseOptions
from server.vectors.snapshot import write_snapshot
from server.vectors.storage import Storage
from server.vectors.view import DenseView
from tests.server.attributes.documents import DIMENSION, Documents, check

OPTIONS = DenseOptions(exact_below=200, tail_least=150)


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(
    kind=st.sampled_from([("cosine", "f32"), ("cosine", "f16"), ("cosine", "i8"), ("dot", "f16")]),
    steps=st.lists(
        st.one_of(
            st.lists(st.integers(0, 6), min_size=1, max_size=80),  # documents of so many vectors are appended
            st.sampled_from(["delete", "reload", "wait"]),
        ),
        min_size=3,
        max_size=12,
    ),
    seed=st.integers(0, 2**16),
)
def test_whatever_happens_the_index_agrees_with_the_definition(
    kind: tuple[Similarity, Storage], steps: list[list[int] | str], seed: int
) -> None:
    documents = Documents(*kind, seed)
    live = np.empty(0, dtype=np.bool_)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        index = DenseIndex(DIMENSION, *kind, folder=folder / "graphs", options=OPTIONS)
        for number, step in enumerate(steps):
            if step == "reload":
                index = reload(index, kind, folder / f"snapshot-{number}")
            elif step == "wait":
                index.wait()
            elif step == "delete":
                live = live & (documents.random.random(len(live)) < 0.8)
            else:
                assert isinstance(step, list)
                documents.append(index, step)
                live = np.concatenate((live, np.ones(len(step), dtype=np.bool_)))
            view = index.view()
            check(documents, view, 10, live, (1.0, 0.8, 1.2), exact=True)
            check_graph(documents, view, live)
        index.close()


def check_graph(documents: Documents, view: DenseView, live: NDArray[np.bool_]) -> None:
    """What is found by the graph is alive, in order, and all but what an approximate search may miss."""
    for query in documents.make(3):
        found = view.search(query, limit=10, allowed=live)
        right = view.search(query, limit=10, allowed=live, exact=True)
        assert len(found) == len(right)
        assert all(live[match.slot] for match in found)
        assert len({match.slot for match in found} & {match.slot for match in right}) >= 0.7 * len(right)


def reload(index: DenseIndex, kind: tuple[Similarity, Storage], directory: Path) -> DenseIndex:
    """Saves, loads, and removes the snapshot: what was loaded does not need it."""
    directory.mkdir()
    write_snapshot(index.view(), directory)
    index.close()
    loaded = DenseIndex.load(directory, DIMENSION, *kind, folder=directory.parent / "graphs", options=OPTIONS)
    shutil.rmtree(directory)
    return loaded


@pytest.fixture(scope="module", params=["f16", "i8"])
def saved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Storage]:
    """A snapshot of 400 vectors, 300 of them in a graph."""
    folder = tmp_path_factory.mktemp("saved")
    storage: Storage = request.param
    documents = Documents("cosine", storage, seed=1)
    index = DenseIndex(DIMENSION, "cosine", storage, folder=folder / "graphs", options=OPTIONS)
    documents.append(index, [1] * 300)
    index.wait()
    documents.append(index, [1] * 100)
    (folder / "snapshot").mkdir()
    write_snapshot(index.view(), folder / "snapshot")
    assert index.view().graph_count == 300
    index.close()
    return folder / "snapshot", storage


def test_a_damaged_file_is_found_wherever_the_damage_is(saved: tuple[Path, Storage], tmp_path: Path) -> None:
    snapshot, storage = saved
    random = np.random.default_rng(2)
    for path in sorted(snapshot.iterdir()):
        good = path.read_bytes()
        for place in {0, len(good) - 2, *random.integers(0, len(good) - 1, 10).tolist()}:
            bad = bytearray(good)
            bad[place] ^= 1 << int(random.integers(0, 8))
            refuse(snapshot, path.name, bytes(bad), storage, tmp_path)


def test_a_file_cut_short_grown_or_missing_is_found(saved: tuple[Path, Storage], tmp_path: Path) -> None:
    snapshot, storage = saved
    for path in sorted(snapshot.iterdir()):
        good = path.read_bytes()
        for bad in (b"", good[: len(good) // 2], good + b"more", None):
            refuse(snapshot, path.name, bad, storage, tmp_path)


def refuse(snapshot: Path, name: str, content: bytes | None, storage: Storage, folder: Path) -> None:
    copy = folder / "copy"
    shutil.copytree(snapshot, copy)
    (copy / name).unlink()
    if content is not None:
        (copy / name).write_bytes(content)
    with pytest.raises(SnapshotError):
        DenseIndex.load(copy, DIMENSION, "cosine", storage, folder=folder / "graphs", options=OPTIONS)
    assert not list((folder / "graphs").iterdir())
    shutil.rmtree(copy)


def test_a_snapshot_of_another_index_is_refused(saved: tuple[Path, Storage], tmp_path: Path) -> None:
    snapshot, storage = saved
    for dimension, similarity, other in ((32, "cosine", storage), (16, "dot", "f16"), (16, "cosine", "f32")):
        with pytest.raises(SnapshotError, match=r"is of (dimension|similarity|storage)"):
            DenseIndex.load(snapshot, dimension, similarity, other, folder=tmp_path)  # type: ignore[arg-type]


def test_no_snapshot_at_all_is_an_error_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match="cannot be read"):
        DenseIndex.load(tmp_path / "none", 16, "cosine", "f16", folder=tmp_path / "graphs")
