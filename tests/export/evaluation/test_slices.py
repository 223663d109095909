import pytest

from export.evaluation.judged import JudgedSet
from export.evaluation.slices import slice_figures, slices_of
from export.evaluation.worst import best_system, worst_queries
from tests.export.evaluation.made import DOCUMENTS, asked, made

QUERIES = [
    asked("이체한도 늘리기", "limit"),
    asked("지갑을 두고 내려서 카드가 없어졌어요", "lost"),
    asked("how do I report a lost card, please, and quickly", "lost", language="en"),
]
FOUND = {
    "base": [["lost", "limit"], ["limit"], ["lost"]],
    "best": [["limit"], ["limit", "lost"], ["lost"]],
}


def test_queries_are_sliced_by_language_length_and_names() -> None:
    judged = JudgedSet(name="", documents=DOCUMENTS, queries=QUERIES)
    assert [tuple(each) for each in slices_of(judged)] == [
        ("language", "en", [2]),
        ("language", "ko", [0, 1]),
        ("length", "1 to 10 characters", [0]),
        ("length", "11 to 20 characters", [1]),
        ("length", "41 characters or more", [2]),
        ("name of the document", "in the query", [0, 2]),
        ("name of the document", "not in the query", [1]),
    ]


def test_documents_with_labels_are_told_apart_only_if_there_are_labels() -> None:
    judged = JudgedSet(name="", documents=DOCUMENTS, queries=QUERIES, labels=[asked("x", "lost")])
    assert [tuple(each) for each in slices_of(judged)][-2:] == [
        ("document", "has labels", [1, 2]),
        ("document", "has no labels", [0]),
    ]


def test_a_property_that_all_queries_share_is_no_slice() -> None:
    assert slices_of(JudgedSet(name="", documents=DOCUMENTS, queries=QUERIES[:1])) == []


def test_a_slice_has_the_means_of_its_queries() -> None:
    korean = slice_figures(made(QUERIES, FOUND))[1]
    assert (korean.name, korean.queries) == ("ko", 2)
    assert korean.means["base"]["R@1"] == 0
    assert korean.means["best"]["MRR@10"] == pytest.approx(0.75)
    assert korean.recall_intervals["base"] == (0, 0)


def test_worst_queries_come_with_the_documents_before_the_right_one() -> None:
    evaluation = made(QUERIES, FOUND)
    assert best_system(evaluation) == "best"
    (worst,) = worst_queries(evaluation, "best", count=5)
    assert (worst.query, worst.rank) == (QUERIES[1].text, 2)
    assert [each.title for each in worst.found] == ["이체 한도"]
    assert [each.id for each in worst.relevant] == ["lost"]
    assert worst.other_ranks == {"base": None}


def test_of_equally_bad_queries_those_that_another_system_answers_come_first() -> None:
    queries = [asked("a", "lost"), asked("b", "lost")]
    evaluation = made(queries, {"one": [["limit"], ["limit"]], "two": [["limit"], ["lost"]]})
    assert [each.query for each in worst_queries(evaluation, "one", count=2)] == ["b", "a"]
    assert len(worst_queries(evaluation, "one", count=1)) == 1
