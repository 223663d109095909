from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from export.quality.closeness import closeness
from export.quality.invariance import BATCH_TEXTS, invariance
from export.quality.retrieval import overlap_at, retrieval


def test_overlap_matches_hand_computed_values() -> None:
    assert overlap_at([["a", "b", "c"]], [["c", "x", "a"]], 2) == 0.0
    assert overlap_at([["a", "b", "c"]], [["c", "x", "a"]], 3) == pytest.approx(2 / 3)
    assert overlap_at([["a"], ["b"]], [["a"], ["c"]], 10) == 0.5


@given(st.permutations("abcdefghijkl"))
def test_overlap_ignores_the_order(found: list[str]) -> None:
    assert overlap_at(["abcdefghijkl"], [found], 12) == 1.0


def test_recall_of_fp32_and_bundle_and_its_largest_loss_are_measured() -> None:
    measured = retrieval(
        "two queries",
        documents=30,
        expected=[["a", "b"], ["b", "a"]],
        found=[["b", "a"], ["b", "a"]],
        relevant=[["a"], ["b"]],
    )
    assert (measured.recall_fp32[1], measured.recall[1], measured.recall[5]) == (1.0, 0.5, 1.0)
    assert (measured.recall_loss, measured.top10_overlap, measured.queries) == (0.5, 1.0, 2)


def test_closeness_matches_hand_computed_values() -> None:
    reference = np.tile(np.array([[1.0, 0.0]], dtype=np.float32), (100, 1))
    vectors = reference.copy()
    vectors[7] = [0.0, 3.0]
    measured = closeness(vectors, reference)
    assert (measured.texts, measured.cosine_mean, measured.cosine_min) == (100, 0.99, 0.0)
    assert 0 < measured.cosine_p1 < 1
    vectors[8, 0] = np.nan
    assert closeness(vectors, reference).cosine_min == -1.0


def alone_or_not(*, noise: float) -> object:
    random = np.random.default_rng(3)

    def encode(texts: Sequence[int]) -> NDArray[np.float32]:
        vectors = np.array([[text, 1.0, 2.0] for text in texts], dtype=np.float32)
        return vectors if len(texts) == 1 else vectors + np.float32(noise) * random.random(vectors.shape, np.float32)

    return encode


def test_invariance_detects_vectors_that_depend_on_their_batch() -> None:
    texts = list(range(300))
    same = invariance(alone_or_not(noise=0), texts)  # type: ignore[arg-type]
    assert (same.worst_cosine, same.identical_share, same.texts) == (1.0, 1.0, 300)
    other = invariance(alone_or_not(noise=1), texts)  # type: ignore[arg-type]
    assert other.worst_cosine < 0.99
    assert other.identical_share < 0.05
    assert max(BATCH_TEXTS) < len(texts)
