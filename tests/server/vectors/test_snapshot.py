from __future__ import annotations

import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from server.similarity import Similarity
from server.snapshot import read_snapshot, write_snapshot
from server.vectors.dense import DenseIndex, DenseOptions
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
    view = index.view()
    write_snapshot(directory, view.facts, parts={"dense": view.arrays}, files=view.files)
    index.close()
    loaded = DenseIndex(DIMENSION, *kind, folder=directory.parent / "graphs", options=OPTIONS)
    snapshot = read_snapshot(directory, loaded.view().facts)
    loaded.restore(snapshot.parts["dense"], snapshot.files)
    shutil.rmtree(directory)
    return loaded


def test_a_snapshot_depends_on_everything_that_its_files_do(tmp_path: Path) -> None:
    index = DenseIndex(DIMENSION, "cosine", "i8", folder=tmp_path)
    facts = index.view().facts
    assert facts == {"usearch": version("usearch"), "dimension": DIMENSION, "similarity": "cosine", "storage": "i8"}
    index.close()
