from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.lexical.index import LexicalIndex
from server.lexical.respelling import MOST_CHARACTERS
from server.lexical.view import LexicalView


def view(*texts: str) -> LexicalView:
    index = LexicalIndex()
    index.append([[text] for text in texts])
    return index.view()


CATALOGUE = ["실업급여 신청", "전세 대출", "대출 신청", "카드 분실", "저축"]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("실어급여 신청", "실업급여 신청"),
        ("전세 대츌", "전세 대출"),
        ("카그 분실", "카드 분실"),
        ("파드", "카드"),
        ("전세 대춤!", "전세 대출!"),
        ("ATM 카그", "atm 카드"),
        ("카그 카그", "카드 카드"),
    ],
)
def test_a_letter_that_makes_a_word_unknown_is_replaced(typed: str, meant: str) -> None:
    assert view(*CATALOGUE).respelled(typed) == meant


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "카드 분실",
        "카드를",
        "대출신청",
        "카",
        "강원도",
        "lost cord",
        "카ㅡ",
        "큰그 분실",
        "카그 분실 " * 5,
        "전셰 대춤",
        "카그 어디서요",
        "가" * 17,
        "ㅋㅋ",
    ],
)
def test_other_queries_stay(typed: str) -> None:
    assert view(*CATALOGUE).respelled(typed) == typed


def test_of_several_replacements_one_must_be_in_far_more_documents() -> None:
    assert view("카드", "카스").respelled("카그") == "카그"
    assert view("카드", "카드 한도", "카스").respelled("카그") == "카드"


def test_an_empty_index_replaces_nothing() -> None:
    assert LexicalIndex().view().respelled("카그") == "카그"


@given(
    st.lists(st.text(st.sampled_from("카드그분실A 1ㅋ"), max_size=MOST_CHARACTERS), max_size=4), st.text(max_size=40)
)
def test_replaced_words_are_those_of_documents(texts: Sequence[str], query: str) -> None:
    index = view(*texts)
    found = index.respelled(query)
    if found != query:
        old = [word for word, new in zip(query.split(), found.split(), strict=False) if word != new]
        assert old
        assert sum(index.word_counts(found.split())) > sum(index.word_counts(query.split()))
