import shutil
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from server.errors import SnapshotError
from server.similarity import Similarity
from server.snapshot import read_snapshot, write_snapshot
from server.vectors.dense import DenseIndex, DenseOptions
from server.vectors.storage import Storage
from server.vectors.view import DenseView, Match
from tests.server.attributes.documents import DIMENSION, Documents, check

KINDS: list[tuple[Similarity, Storage]] = [
    ("cosine", "f32"),
    ("cosine", "f16"),
    ("cosine", "i8"),
    ("dot", "f32"),
    ("dot", "f16"),
]

SMALL = DenseOptions(hnsw_from_vectors=200, tail_least=100)
"""Builds graphs of few vectors."""


@pytest.mark.parametrize(("similarity", "storage"), KINDS)
@settings(max_examples=25, deadline=None)
@given(data=st.data(), counts=st.lists(st.integers(0, 12), min_size=1, max_size=60), seed=st.integers(0, 2**16))
def test_an_index_without_a_graph_agrees_with_the_definition_even_if_scores_are_equal(
    similarity: Similarity, storage: Storage, data: st.DataObject, counts: list[int], seed: int
) -> None:
    limit = data.draw(st.integers(1, 25), "limit")
    share = data.draw(st.sampled_from([1.0, 0.5, 0.05]), "share of allowed documents")
    weights = data.draw(st.sampled_from([(1.0,), (1.0, 0.5, 2.0)]), "weights")
    documents = Documents(similarity, storage, seed, levels=data.draw(st.integers(1, 3), "levels"))
    with tempfile.TemporaryDirectory() as folder:
        index = DenseIndex(DIMENSION, similarity, storage, folder=Path(folder))
        for start in range(0, len(counts), 7):
            documents.append(index, counts[start : start + 7])
            allowed = documents.random.random(len(documents)) < share
            check(documents, index.view(), limit, allowed if share < 1 else None, weights)
        index.close()


def test_slots_are_in_order(tmp_path: Path) -> None:
    index = DenseIndex(2, "dot", "f16", folder=tmp_path)
    add(index, [3], np.ones((1, 2), np.float32))
    with pytest.raises(AssertionError, match="order"):
        add(index, [2], np.ones((1, 2), np.float32))


def test_a_view_does_not_see_later_documents(tmp_path: Path) -> None:
    index = DenseIndex(2, "dot", "f16", folder=tmp_path)
    empty = index.view()
    add(index, [0], np.array([[1, 0]], np.float32))
    one = index.view()
    add(index, [1], np.array([[2, 0]], np.float32))
    query = np.array([1, 0], np.float32)
    assert empty.search(query, limit=10) == []
    assert one.search(query, limit=10) == [Match(0, 0, 1.0)]
    assert index.view().search(query, limit=10) == [Match(1, 0, 2.0), Match(0, 0, 1.0)]
    assert index.view().search(query, limit=10, allowed=np.array([True, False])) == [Match(0, 0, 1.0)]
    assert index.view().search(query, limit=10, allowed=np.array([False, False])) == []


def test_the_scores_of_queries_that_are_compared_together_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents = Documents("cosine", "f32", seed=3)
    index = DenseIndex(DIMENSION, "cosine", "f32", folder=tmp_path)
    documents.append(index, [100])
    queries = list(documents.make(9))
    together = index.view().comparing(queries)
    assert len(together.compared) == 9
    with monkeypatch.context() as compared_before:
        compared_before.delattr(DenseView, "_approximate")
        assert together.search(queries[0], limit=1)
    assert len(index.view().comparing(queries, most_bytes=3 * 100 * 4).compared) == 3
    assert not index.view().comparing(queries, most_bytes=100 * 4).compared


@pytest.mark.parametrize(("similarity", "storage"), KINDS)
def test_with_a_graph_new_documents_are_found_and_dead_ones_are_not(
    tmp_path: Path, similarity: Similarity, storage: Storage
) -> None:
    documents = Documents(similarity, storage, seed=1)
    index = DenseIndex(DIMENSION, similarity, storage, folder=tmp_path, options=SMALL)
    for _ in range(8):
        documents.append(index, documents.random.integers(0, 4, 60).tolist())
        view = index.view()
        allowed = documents.random.random(len(documents)) < 0.8
        for slot in range(len(documents) - 60, len(documents)):
            for vector in documents.vectors_of(slot)[:1]:
                found = view.search(vector, limit=5)
                best = documents.best(vector, 1)[0]
                assert found[0].score == pytest.approx(best.score, abs=2e-3 * max(1, abs(best.score)))
                assert all(allowed[match.slot] for match in view.search(vector, limit=5, allowed=allowed))
    index.wait()
    assert index.view().graph_count > 200
    for weights in ((1.0,), (1.0, 0.5, 2.0)):
        for share in (0.5, 0.02):
            check(documents, index.view(), 10, documents.random.random(len(documents)) < share, weights, exact=True)
    assert recall(documents, index.view(), allowed) > 0.95
    index.close()


def test_a_score_is_the_same_inside_and_outside_the_graph(tmp_path: Path) -> None:
    documents = Documents("cosine", "f16", seed=2)
    index = DenseIndex(DIMENSION, "cosine", "f16", folder=tmp_path, options=SMALL)
    documents.append(index, [1] * 250)
    before = index.view()
    assert index.graph_generation == 0
    index.wait()
    after = index.view()
    assert (before.graph_count, after.graph_count, index.graph_generation) == (0, 250, 1)
    queries = documents.random.standard_normal((50, DIMENSION)).astype(np.float32)
    for query in queries:
        assert after.search(query, limit=10, exact=True) == before.search(query, limit=10)
        found = {match.slot: match.score for match in before.search(query, limit=250)}
        assert all(match.score == found[match.slot] for match in after.search(query, limit=10))
    index.close()


def test_documents_with_the_same_text_do_not_hide_the_others(tmp_path: Path) -> None:
    """HNSW would not get past thousands of equal vectors, so equal rows share a node of the graph."""
    random = np.random.default_rng(4)
    center = random.standard_normal(16)
    titles = (center + 0.5 * random.standard_normal((3000, 16))).astype(np.float32)
    texts = (center + 0.1 * random.standard_normal((3, 16))).astype(np.float32)
    index = DenseIndex(16, "cosine", "f16", folder=tmp_path, options=DenseOptions(hnsw_from_vectors=6000))
    vectors = np.stack((titles, texts[random.integers(0, 3, 3000)]), axis=1).reshape(-1, 16)
    add(index, np.repeat(np.arange(3000), 2).tolist(), vectors)
    index.wait()
    assert index.view().graph_count == 6000
    missed = [slot for slot in range(0, 3000, 3) if index.view().search(titles[slot], limit=1)[0].slot != slot]
    assert missed == []
    found = index.view().search(texts[0], limit=100)
    assert found == index.view().search(texts[0], limit=100, exact=True)
    index.close()


def test_a_document_with_very_many_vectors_does_not_displace_the_others(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    direction = random.standard_normal(16)
    crowd = direction + 0.01 * random.standard_normal((3000, 16))
    others = direction + 0.5 * random.standard_normal((500, 16))
    options = DenseOptions(hnsw_from_vectors=3400)
    index = DenseIndex(16, "cosine", "f16", folder=tmp_path, options=options)
    add(index, [0] * 3000 + list(range(1, 501)), np.concatenate((crowd, others)).astype(np.float32))
    index.wait()
    assert index.view().graph_count == 3500
    found = index.view().search(direction.astype(np.float32), limit=10)
    assert found == index.view().search(direction.astype(np.float32), limit=10, exact=True)
    assert len({match.slot for match in found}) == 10
    index.close()


def test_vectors_with_nan_are_not_found_and_do_not_break_searches(tmp_path: Path) -> None:
    index = DenseIndex(8, "cosine", "f16", folder=tmp_path)
    vectors = np.random.default_rng(8).standard_normal((100, 8)).astype(np.float32)
    vectors[3:60, 2] = np.nan
    add(index, list(range(100)), vectors)
    assert index.view().search(vectors[70], limit=5)[0].slot == 70
    assert index.view().search(vectors[3], limit=5) == []


def test_closing_ends_a_build_and_removes_its_files(tmp_path: Path) -> None:
    index = DenseIndex(64, "cosine", "f16", folder=tmp_path, options=DenseOptions(hnsw_from_vectors=20_000))
    vectors = np.random.default_rng(4).standard_normal((40_000, 64)).astype(np.float32)
    add(index, list(range(40_000)), vectors)
    view = index.view()
    index.close()
    assert list(tmp_path.iterdir()) == []
    assert view.search(vectors[5], limit=1)[0].slot == 5


def test_a_build_that_fails_leaves_the_index_as_it_was(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    built: list[bool] = []
    options = replace(SMALL, on_build=lambda *, failed, seconds: built.append(failed and seconds >= 0))
    index = DenseIndex(8, "cosine", "f16", folder=tmp_path, options=options)
    next(tmp_path.iterdir()).rmdir()  # The build process has no folder to write to.
    vectors = np.random.default_rng(5).standard_normal((250, 8)).astype(np.float32)
    add(index, list(range(250)), vectors)
    index.wait()
    assert "continues without a new graph" in caplog.text
    assert built == [True]
    assert index.view().graph_count == 0
    assert index.view().search(vectors[7], limit=1)[0].slot == 7
    index.close()


def add(index: DenseIndex, slots: list[int], vectors: NDArray[np.float32]) -> None:
    zeros = np.zeros(len(slots), np.int32)
    index.append(np.array(slots, np.int32), zeros, zeros.astype(np.uint8), vectors)


def recall(documents: Documents, view: DenseView, allowed: NDArray[np.bool_]) -> float:
    queries = documents.random.standard_normal((100, DIMENSION)).astype(np.float32)
    shares = []
    for query in queries:
        right = view.search(query, limit=10, allowed=allowed, exact=True)
        found = view.search(query, limit=10, allowed=allowed)
        shares.append(len({match.slot for match in right} & {match.slot for match in found}) / 10)
    return float(np.mean(shares))


@pytest.mark.slow
def test_threads_search_while_documents_are_appended_and_graphs_swapped(tmp_path: Path) -> None:
    latest: list[DenseView] = []
    options = DenseOptions(hnsw_from_vectors=1000, tail_least=300)
    index = DenseIndex(32, "cosine", "f16", folder=tmp_path, options=options)
    vectors = np.random.default_rng(7).standard_normal((3000, 32)).astype(np.float32)
    add(index, list(range(10)), vectors[:10])
    latest.append(index.view())
    ended = threading.Event()
    wrong: list[tuple[int, int]] = []
    searched = [0] * 3

    def search(number: int) -> None:
        random = np.random.default_rng(number)
        while not ended.is_set():
            view = latest[-1]
            slot = int(random.integers(max(0, len(view) - 200), len(view)))
            found = view.search(vectors[slot], limit=3)
            searched[number] += 1
            if found[0].slot != slot:
                wrong.append((slot, len(view)))

    with ThreadPoolExecutor(3) as pool:
        searching = [pool.submit(search, number) for number in range(3)]
        for start in range(10, 3000, 10):
            add(index, list(range(start, start + 10)), vectors[start : start + 10])
            latest.append(index.view())
            time.sleep(0.005)
            if start % 1000 == 0:
                index.wait()  # So that searches see several graphs even on a slow machine.
        index.wait()
        latest.append(index.view())
        ended.set()
    for each in searching:
        each.result()
    assert min(searched) > 50
    assert len({view.graph_count for view in latest}) > 2
    # Vectors outside the graph are always found; a graph may miss a few.
    assert len(wrong) < 0.01 * sum(searched)
    index.close()


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(
    kind=st.sampled_from([("cosine", "f32"), ("cosine", "f16"), ("cosine", "i8"), ("dot", "f16")]),
    steps=st.lists(
        st.one_of(
            st.lists(st.integers(0, 6), min_size=1, max_size=80),  # append documents with this many vectors
            st.sampled_from(["delete", "reload", "wait"]),
        ),
        min_size=3,
        max_size=12,
    ),
    seed=st.integers(0, 2**16),
)
def test_after_any_steps_the_index_agrees_with_the_definition(
    kind: tuple[Similarity, Storage], steps: list[list[int] | str], seed: int
) -> None:
    documents = Documents(*kind, seed)
    live = np.empty(0, dtype=np.bool_)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        index = DenseIndex(DIMENSION, *kind, folder=folder / "graphs", options=SMALL)
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
    """Checks that the graph finds live documents only, and misses no more than an approximate search may."""
    for query in documents.make(3):
        found = view.search(query, limit=10, allowed=live)
        right = view.search(query, limit=10, allowed=live, exact=True)
        assert len(found) == len(right)
        assert all(live[match.slot] for match in found)
        assert len({match.slot for match in found} & {match.slot for match in right}) >= 0.7 * len(right)


def reload(index: DenseIndex, kind: tuple[Similarity, Storage], directory: Path) -> DenseIndex:
    """Saves a snapshot, loads it and removes it, since a loaded index does not need it."""
    directory.mkdir()
    view = index.view()
    write_snapshot(directory, view.facts, parts={"dense": view.arrays}, files=view.files)
    index.close()
    loaded = DenseIndex(DIMENSION, *kind, folder=directory.parent / "graphs", options=SMALL)
    snapshot = read_snapshot(directory, loaded.view().facts)
    loaded.restore(snapshot.parts["dense"], snapshot.files)
    shutil.rmtree(directory)
    return loaded


@pytest.mark.parametrize("name", ["tail", "owners", "parts", "fields"])
def test_a_snapshot_with_missing_rows_is_rejected(name: str, tmp_path: Path) -> None:
    index = DenseIndex(2, "dot", "f16", folder=tmp_path)
    add(index, [0, 1], np.ones((2, 2), np.float32))
    arrays = {**index.view().arrays}
    loaded = DenseIndex(2, "dot", "f16", folder=tmp_path)
    with pytest.raises(SnapshotError, match="different numbers of vectors"):
        loaded.restore(arrays | {name: arrays[name][:1]}, {})


def test_a_snapshot_depends_on_all_facts_that_its_files_depend_on(tmp_path: Path) -> None:
    index = DenseIndex(DIMENSION, "cosine", "i8", folder=tmp_path)
    facts = index.view().facts
    assert facts == {"usearch": version("usearch"), "dimension": DIMENSION, "similarity": "cosine", "storage": "i8"}
    index.close()


def test_of_many_vectors_with_equal_scores_the_graph_finds_those_of_the_lowest_slots(tmp_path: Path) -> None:
    index = DenseIndex(2, "dot", "f32", folder=tmp_path, options=SMALL)
    slots = list(range(300))
    add(index, slots, np.stack([np.ones(300), np.random.default_rng(7).permutation(300)], axis=1).astype(np.float32))
    assert index.wait()
    view = index.view()
    assert view.graph_count == 300
    found = view.search(np.array([1.0, 0.0], np.float32), limit=5)
    index.close()
    assert [match.slot for match in found] == [0, 1, 2, 3, 4]
