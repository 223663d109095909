from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from server.index.exact import ExactIndex, Match


def brute_force(
    vectors: NDArray[np.float32], owners: list[int], query: NDArray[np.float32], limit: int
) -> list[tuple[int, float]]:
    """The definition: each document scores its best vector; ties in the order of positions."""
    scores: dict[int, float] = {}
    for owner, score in zip(owners, (vectors @ query).tolist(), strict=True):
        scores[owner] = max(score, scores.get(owner, -np.inf))
    return sorted(scores.items(), key=lambda item: (-item[1], item[0]))[:limit]


@settings(max_examples=200, deadline=None)
@given(
    vectors_per_document=st.lists(st.integers(1, 30), min_size=1, max_size=20),
    limits=st.lists(st.integers(1, 25), min_size=1, max_size=5),
    levels=st.integers(1, 4),
    seed=st.integers(0, 2**16),
)
def test_it_agrees_with_the_definition_even_where_scores_tie(
    vectors_per_document: list[int], limits: list[int], levels: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    owners = [document for document, count in enumerate(vectors_per_document) for _ in range(count)]
    # Small whole numbers: sums are exact, and there are many ties.
    vectors = random.integers(-levels, levels + 1, (len(owners), 8)).astype(np.float32)
    queries = random.integers(-levels, levels + 1, (len(limits), 8)).astype(np.float32)
    found = ExactIndex(vectors, owners).search(queries, limits)
    for query, limit, matches in zip(queries, limits, found, strict=True):
        assert [(match.document, match.score) for match in matches] == brute_force(vectors, owners, query, limit)
        assert all(owners[match.part] == match.document for match in matches)
        assert all(match.score == vectors[match.part] @ query for match in matches)


def test_a_document_with_very_many_vectors_does_not_crowd_the_others_out() -> None:
    vectors = np.array([[1.0, 0.0]] * 500 + [[0.9, 0.0], [0.8, 0.0]], dtype=np.float32)
    index = ExactIndex(vectors, [0] * 500 + [1, 2])
    matches = index.search(np.array([[1.0, 0.0]], dtype=np.float32), [3])[0]
    assert [match.document for match in matches] == [0, 1, 2]
    assert matches[0] == Match(document=0, part=0, score=1.0)


@pytest.mark.parametrize("batch", [1, 2, 7, 32])
def test_results_do_not_depend_on_the_batch(batch: int) -> None:
    random = np.random.default_rng(1)
    vectors = random.standard_normal((999, 96)).astype(np.float32)
    queries = random.standard_normal((32, 96)).astype(np.float32)
    index = ExactIndex(vectors, [position // 3 for position in range(999)])
    alone = [index.search(queries[row : row + 1], [10])[0] for row in range(32)]
    together = [
        matches
        for start in range(0, 32, batch)
        for matches in index.search(queries[start : start + batch], [10] * len(queries[start : start + batch]))
    ]
    assert together == alone
