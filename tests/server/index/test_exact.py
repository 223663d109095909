from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from server.index.exact import ExactIndex, Match
from server.index.storage import Storage, to_storage
from server.similarity import Similarity

KINDS: list[tuple[Similarity, Storage]] = [
    ("cosine", "f32"),
    ("cosine", "f16"),
    ("cosine", "i8"),
    ("dot", "f32"),
    ("dot", "f16"),
]

counts_of_vectors = st.lists(st.integers(1, 30), min_size=1, max_size=20)
some_limits = st.lists(st.integers(1, 25), min_size=1, max_size=5)


def make_index(vectors: NDArray[np.float32], owners: list[int], similarity: Similarity, storage: Storage) -> ExactIndex:
    return ExactIndex(to_storage(vectors, storage), owners, similarity=similarity, storage=storage)


def brute_force(
    vectors: NDArray[np.float32], owners: list[int], query: NDArray[np.float32], limit: int
) -> list[tuple[int, float]]:
    """The definition: each document scores its best vector; ties in the order of positions."""
    scores: dict[int, float] = {}
    for owner, score in zip(owners, (vectors @ query).tolist(), strict=True):
        scores[owner] = max(score, scores.get(owner, -np.inf))
    return sorted(scores.items(), key=lambda item: (-item[1], item[0]))[:limit]


def random_directions(count: int, seed: int) -> NDArray[np.float32]:
    vectors = np.random.default_rng(seed).standard_normal((count, 24)).astype(np.float32)
    result: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return result


@pytest.mark.parametrize("storage", ["f32", "f16"])
@settings(max_examples=100, deadline=None)
@given(vectors_per_document=counts_of_vectors, limits=some_limits, levels=st.integers(1, 4), seed=st.integers(0, 2**16))
def test_inner_products_agree_with_the_definition_even_where_scores_tie(
    storage: Storage, vectors_per_document: list[int], limits: list[int], levels: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    owners = [document for document, count in enumerate(vectors_per_document) for _ in range(count)]
    # Small whole numbers: sums are exact, and there are many ties.
    vectors = random.integers(-levels, levels + 1, (len(owners), 8)).astype(np.float32)
    queries = random.integers(-levels, levels + 1, (len(limits), 8)).astype(np.float32)
    found = make_index(vectors, owners, "dot", storage).search(queries, limits)
    for query, limit, matches in zip(queries, limits, found, strict=True):
        assert [(match.document, match.score) for match in matches] == brute_force(vectors, owners, query, limit)
        assert all(owners[match.part] == match.document for match in matches)
        assert all(match.score == vectors[match.part] @ query for match in matches)


@pytest.mark.parametrize(("storage", "tolerance"), [("f32", 1e-6), ("f16", 2e-3), ("i8", 2e-2)])
@settings(max_examples=100, deadline=None)
@given(
    vectors_per_document=counts_of_vectors,
    limits=some_limits,
    pool=st.builds(random_directions, st.integers(1, 9), st.integers(0, 2**16)),
)
def test_cosines_agree_with_the_definition_within_the_precision_of_the_storage(
    storage: Storage, tolerance: float, vectors_per_document: list[int], limits: list[int], pool: NDArray[np.float32]
) -> None:
    owners = [document for document, count in enumerate(vectors_per_document) for _ in range(count)]
    # Few directions: there are many ties.
    chosen = np.random.default_rng(len(owners)).integers(0, len(pool), len(owners))
    queries = random_directions(len(limits), len(owners))
    found = make_index(pool[chosen], owners, "cosine", storage).search(queries, limits)
    for query, limit, matches in zip(queries, limits, found, strict=True):
        expected = [score for _, score in brute_force(pool[chosen], owners, query, limit)]
        np.testing.assert_allclose([match.score for match in matches], expected, atol=tolerance)
        true = [float(pool[chosen[match.part]] @ query) for match in matches]
        np.testing.assert_allclose([match.score for match in matches], true, atol=tolerance)
        assert all(owners[match.part] == match.document for match in matches)
        in_order = sorted(matches, key=lambda match: (-match.score, match.document))
        assert matches == in_order
        # Whatever has the last one's very vector and is not among them stands behind it.
        left_out = set(owners) - {match.document for match in matches}
        twins = {
            owner for owner, direction in zip(owners, chosen, strict=True) if direction == chosen[matches[-1].part]
        }
        assert all(document > matches[-1].document for document in left_out & twins)


def test_a_document_with_very_many_vectors_does_not_crowd_the_others_out() -> None:
    vectors = np.array([[1.0, 0.0]] * 500 + [[0.9, 0.0], [0.8, 0.0]], dtype=np.float32)
    index = ExactIndex(vectors, [0] * 500 + [1, 2], similarity="dot")
    matches = index.search(np.array([[1.0, 0.0]], dtype=np.float32), [3])[0]
    assert [match.document for match in matches] == [0, 1, 2]
    assert matches[0] == Match(document=0, part=0, score=1.0)


@pytest.mark.parametrize(("similarity", "storage"), KINDS)
@pytest.mark.parametrize("batch", [1, 2, 7, 32])
def test_results_do_not_depend_on_the_batch(batch: int, similarity: Similarity, storage: Storage) -> None:
    random = np.random.default_rng(1)
    vectors = random.standard_normal((999, 96)).astype(np.float32)
    queries = random.standard_normal((32, 96)).astype(np.float32)
    index = make_index(vectors, [position // 3 for position in range(999)], similarity, storage)
    alone = [index.search(queries[row : row + 1], [10])[0] for row in range(32)]
    together = [
        matches
        for start in range(0, 32, batch)
        for matches in index.search(queries[start : start + batch], [10] * len(queries[start : start + batch]))
    ]
    assert together == alone
