import itertools
import re
import time
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from server.vectors.dense import DenseIndex, DenseOptions
from server.vectors.ef_search import EfSearch
from server.vectors.recall import RecallWatch, measure_recall


@pytest.fixture
def vectors() -> NDArray[np.float32]:
    """Random vectors, whose lack of structure makes the graph's recall low."""
    return np.random.default_rng(1).standard_normal((6000, 64)).astype(np.float32)


def fill(index: DenseIndex, vectors: NDArray[np.float32]) -> None:
    zeros = np.zeros(len(vectors), np.int32)
    index.append(np.arange(len(vectors), dtype=np.int32), zeros, zeros.astype(np.uint8), vectors)
    index.wait()


@pytest.mark.slow
def test_ef_search_is_raised_until_the_minimum_recall_is_reached(
    tmp_path: Path, vectors: NDArray[np.float32], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.vectors.recall.PAUSE_SECONDS", 0)
    monkeypatch.setattr("server.vectors.recall.BUSY_SHARE", 1)
    recalls: list[float] = []
    options = DenseOptions(hnsw_from_vectors=1000, ef_search=8, min_recall=0.9)
    index = DenseIndex(64, "cosine", "f16", folder=tmp_path, options=options)
    fill(index, vectors)
    assert index.view().graph_count == len(vectors)
    queries = np.random.default_rng(2).standard_normal((5000, 64)).astype(np.float32)
    before = index.view()
    deadline = time.monotonic() + 120
    for query in itertools.cycle(queries):  # The number of searches needed depends on the machine's load.
        index.view().search(query, limit=10)
        time.sleep(0.002)
        recalls.append(min(index.recall.values()))
        if (len(recalls) > 600 and min(recalls[-300:]) >= 0.9) or time.monotonic() > deadline:
            break
    index.close()
    assert min(recalls) < 0.9 <= recalls[-1]
    assert index.ef_search > 8
    assert re.search(r"\((search|document)\) is 0\.\d+, below 0\.9000: ef_search is raised from 8 to 12", caplog.text)
    # The raised value applies to earlier views as well.
    assert np.mean([measure_recall(before, query) for query in queries[:100]]) > 0.85


def test_a_failed_measurement_does_not_prevent_the_next(
    tmp_path: Path, vectors: NDArray[np.float32], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("server.vectors.recall.PAUSE_SECONDS", 0)
    monkeypatch.setattr("server.vectors.recall.FAILED_SECONDS", 0)
    index = DenseIndex(64, "cosine", "f16", folder=tmp_path)
    empty = index.view()
    fill(index, vectors[:100])
    watch, deadline = RecallWatch(EfSearch(8), 0.9), time.monotonic() + 10
    for view in (empty, index.view()):  # No document can be drawn from the empty one.
        watch.observe(view, vectors[0], None, (1.0,))
        while time.monotonic() < deadline and "could not be measured" not in caplog.text:
            time.sleep(0.01)
    while time.monotonic() < deadline and not watch._recalls["document"]:
        time.sleep(0.01)
    assert list(watch._recalls["document"]) == [1.0]
    watch.close()
    index.close()


def test_recall_is_not_measured_without_a_graph(tmp_path: Path) -> None:
    index = DenseIndex(8, "cosine", "f16", folder=tmp_path)
    vectors = np.random.default_rng(3).standard_normal((100, 8)).astype(np.float32)
    assert measure_recall(index.view(), vectors[0]) == 1, "the index is empty"
    fill(index, vectors)
    for query in vectors:
        index.view().search(query, limit=3)
    index.close()
    assert set(index.recall.values()) == {1}
    assert measure_recall(index.view(), vectors[0]) == 1
