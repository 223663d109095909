import sys

import pytest

from export.errors import ExportError
from export.evaluation.judged import JudgedQuery
from export.evaluation.runs import DEPTH
from export.evaluation.systems.bm25 import GRID, Bm25System, best_of
from export.evaluation.systems.terms import bigrams, morphemes, words
from server.catalogue.document import Document

DOCUMENTS = [
    Document(id="lost", title="카드 분실 신고", text="잃어버린 카드를 신고합니다"),
    Document(id="limit", title="이체 한도", text="하루에 보낼 수 있는 금액"),
    Document(id="english", title="Report a lost card", examples=["my wallet is gone"]),
]


def asked(text: str, id: str) -> JudgedQuery:
    return JudgedQuery(text=text, language="ko", grades={id: 1})


def system(
    documents: list[Document] = DOCUMENTS, *, tuning: tuple[JudgedQuery, ...] = (), name: str = "BM25"
) -> Bm25System:
    return Bm25System(name, documents, bigrams, tuning=tuning, progress=lambda step: None)


def test_words_have_no_case_width_or_punctuation() -> None:
    assert words(["Ａpp-Card, 2번!", ""]) == [["app", "card", "2번"], []]


def test_bigrams_are_other_terms_than_words_of_two_characters() -> None:
    assert bigrams(["한도를 a"]) == [["한도를", "a", "+한도", "+도를"]]


def test_documents_that_share_terms_are_found_best_first() -> None:
    assert system().search(["이체한도", "lost wallet", "카드", "zzz", " "]) == [
        ["limit"],
        ["english"],
        ["lost"],
        [],
        [],
    ]


def test_of_equal_documents_the_first_is_first_and_no_more_than_needed_are_found() -> None:
    documents = [Document(id=str(number), title="same") for number in range(50)]
    assert system(documents).search(["same"]) == [[str(number) for number in range(DEPTH)]]


def test_without_queries_the_parameters_are_the_usual_ones() -> None:
    assert system().note == "BM25: k1 1.2, b 0.75, title × 1, example × 1 (not tuned)"


def test_tuning_finds_the_weight_that_ranks_titles_first() -> None:
    documents = [Document(id="title", title="loan"), Document(id="text", title="other", text="loan loan loan loan")]
    tuned = system(documents, tuning=(asked("loan", "title"),))
    assert tuned.search(["loan"])[0][0] == "title"
    parameters, score = tuned.tuned
    assert score == 1
    assert {name: value for name, value in parameters._asdict().items() if value not in GRID[name]} in ({}, {"b": 0.75})


def test_the_best_system_is_chosen_where_it_was_tuned_and_without_labels() -> None:
    bad, good, labelled = (
        system(tuning=(asked(text, "limit"),), name=name)
        for text, name in (("card", "bad"), ("한도", "good"), ("한도", "good + labels"))
    )
    assert best_of([bad, good, labelled]).name == "good"


def test_documents_without_any_term_are_not_an_error() -> None:
    assert system([Document(id="dots", title="…")]).search(["a"]) == [[]]


def test_kiwi_cuts_korean_into_morphemes() -> None:
    pytest.importorskip("kiwipiepy")
    (found,) = morphemes()(["카드를 잃어버렸어요"])
    assert "카드" in found
    assert "를" not in found


def test_without_kiwi_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kiwipiepy", None)
    with pytest.raises(ExportError, match="pip install 'kiwipiepy"):
        morphemes()
