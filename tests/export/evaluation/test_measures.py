import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.evaluation.judged import JudgedQuery
from export.evaluation.measures import NAMES, first_relevant, measured

IDS = [f"d{number}" for number in range(30)]


def query(**grades: int) -> JudgedQuery:
    return JudgedQuery(text="q", language="en", grades=grades)


def values(judged: JudgedQuery, found: list[str]) -> dict[str, float]:
    return dict(zip(NAMES, measured([judged], [found])[:, 0].tolist(), strict=True))


def test_the_first_relevant_document_decides_recall_and_reciprocal_rank() -> None:
    found = values(query(c=1, z=1), ["a", "b", "c"])
    assert found == {
        "R@1": 0,
        "R@5": 1,
        "R@10": 1,
        "R@20": 1,
        "MRR@10": pytest.approx(1 / 3),
        "nDCG@10": pytest.approx(0.5 / (1 + 1 / math.log2(3))),
    }


def test_grades_count_in_ndcg_alone() -> None:
    judged = query(best=2, good=1)
    right, wrong = values(judged, ["best", "good"]), values(judged, ["good", "best"])
    assert right["nDCG@10"] == 1
    assert 0.8 < wrong.pop("nDCG@10") < 1
    assert all(right[name] == value for name, value in wrong.items())


def test_a_query_that_finds_nothing_counts_as_zero() -> None:
    assert measured([query(a=1), query(b=1)], [[], ["b"]])[:, 0].tolist() == [0.0] * len(NAMES)


@given(st.permutations(IDS), st.sets(st.sampled_from(IDS), min_size=1, max_size=3))
def test_measures_agree_with_the_rank_of_the_first_relevant_document(order: list[str], relevant: set[str]) -> None:
    judged = JudgedQuery(text="q", language="en", grades=dict.fromkeys(relevant, 1))
    rank = first_relevant(judged, order[:20])
    found = values(judged, order[:20])
    for depth in (1, 5, 10, 20):
        assert found[f"R@{depth}"] == (rank is not None and rank <= depth)
    assert found["MRR@10"] == pytest.approx(1 / rank if rank is not None and rank <= 10 else 0)
    assert np.isfinite(list(found.values())).all()
