import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.results.relevance import ndcg, recall

LABELS = {"a": 3, "b": 2, "c": 3, "d": 0, "e": 1, "f": 2}
NAMES = st.permutations(["a", "b", "c", "d", "e", "f", "x", "y"])


@pytest.mark.parametrize(
    ("documents", "k", "expected"),
    [
        (["a", "b", "c", "e", "f"], 10, 1.0),
        (["a", "x", "b"], 10, 2 / 5),
        (["a", "x", "b"], 2, 1 / 5),
        (["d", "x"], 10, 0.0),
        ([], 10, 0.0),
    ],
)
def test_recall_matches_hand_computed_values(documents: list[str], k: int, expected: float) -> None:
    assert recall(documents, LABELS, k=k) == pytest.approx(expected)


def test_ndcg_matches_hand_computed_values() -> None:
    # Gains 2^label - 1 over log2(rank + 1); the order a c b e is also the best one.
    labels = {"a": 3, "b": 2, "c": 3, "e": 1}
    ideal = 7 / 1 + 7 / math.log2(3) + 3 / 2 + 1 / math.log2(5)
    assert ndcg(["a", "c", "b", "e"], labels, k=10) == pytest.approx(1.0)
    found = 3 / 1 + 0 / math.log2(3) + 7 / 2
    assert ndcg(["b", "x", "a"], labels, k=10) == pytest.approx(found / ideal)
    # The ideal ranking has only the best k labels.
    ideal_at_2 = 7 / 1 + 7 / math.log2(3)
    assert ndcg(["b", "x", "a"], labels, k=2) == pytest.approx(3 / ideal_at_2)
    assert ndcg(["x"], labels, k=10) == 0


def test_ndcg_matches_the_literature() -> None:
    """Uses the example of Wikipedia's article on discounted cumulative gain, with the gain 2^label - 1."""
    labels = {"1": 3, "2": 2, "3": 3, "4": 0, "5": 1, "6": 2}
    gains = [7, 3, 7, 0, 1, 3]
    dcg = sum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, start=1))
    ideal = sum(gain / math.log2(rank + 1) for rank, gain in enumerate([7, 7, 3, 3, 1], start=1))
    assert dcg == pytest.approx(13.848, abs=0.001)
    assert ndcg(list("123456"), labels, k=6) == pytest.approx(dcg / ideal)


@pytest.mark.parametrize("labels", [{}, {"a": 0}, {"a": -1}])
def test_without_a_relevant_document_the_figures_are_nan(labels: dict[str, int]) -> None:
    assert math.isnan(recall(["a"], labels, k=10))
    assert math.isnan(ndcg(["a"], labels, k=10))


@given(NAMES, st.integers(1, 10))
def test_figures_are_from_0_to_1_and_the_best_order_has_1(documents: list[str], k: int) -> None:
    assert 0 <= recall(documents, LABELS, k=k) <= 1
    assert 0 <= ndcg(documents, LABELS, k=k) <= 1 + 1e-12
    best = sorted(documents, key=lambda document: -LABELS.get(document, 0))
    assert ndcg(best, LABELS, k=k) == pytest.approx(1.0)
    assert recall(best, LABELS, k=10) == 1


@given(NAMES, st.integers(0, 6))
def test_a_better_order_is_never_worse(documents: list[str], position: int) -> None:
    first, second = documents[position], documents[position + 1]
    swapped = documents.copy()
    swapped[position], swapped[position + 1] = second, first
    better = LABELS.get(second, 0) >= LABELS.get(first, 0)
    before, after = ndcg(documents, LABELS, k=10), ndcg(swapped, LABELS, k=10)
    assert after >= before - 1e-12 if better else after <= before + 1e-12
