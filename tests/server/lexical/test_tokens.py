import unicodedata
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.lexical.tokens import code_of_pair, code_of_word, codes_with, fold, terms_of


def terms(text: str) -> list[int]:
    return sorted(terms_of([text])[0].tolist())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ＣＡＲＤ　１", "card 1"),
        ("수도요금·전기요금", "수도요금 전기요금"),
        ("수도ㆍ전기•가스‧물・불∙길", "수도 전기 가스 물 불 길"),
        (unicodedata.normalize("NFD", "카드 분실"), "카드 분실"),
        ("STRASSE", "straße"),
        ("전기\u0387가스", "전기 가스"),
        ("\u212b la carte", "A\u030a la carte"),
        ("co\u00adoperate", "cooperate"),
        ("\u200fשלום", "שלום"),
        ("card, lost!", "card (lost)"),
    ],
)
def test_differences_of_notation_do_not_change_the_terms(one: str, other: str) -> None:
    assert terms(one) == terms(other)


def test_the_terms_of_a_text_are_its_words_and_their_bigrams() -> None:
    assert len(terms("적금을 들자")) == 2 + 2 + 1
    assert set(terms("적금")) & set(terms("적금을"))
    assert not set(terms("적 금")) & set(terms("적금"))


def test_a_single_character_is_a_word() -> None:
    assert len(terms("a")) == len(terms("🚗")) == len(terms("꿈")) == 1


def test_a_term_is_returned_as_often_as_it_occurs() -> None:
    assert terms("card card") == sorted(2 * terms("card"))


def test_words_differ_by_the_order_of_their_characters() -> None:
    assert len(set(terms("abc")) | set(terms("bca")) | set(terms("cab"))) == 3 + 3


@pytest.mark.parametrize("text", ["", " ", "?!", "\u200f", "\n\n", "\ud800"])
def test_a_text_without_letters_has_no_terms(text: str) -> None:
    assert terms(text) == []


def test_long_words_are_distinguished_by_their_bigrams() -> None:
    assert terms("a" * 70 + "b") != terms("a" * 70 + "c")


@settings(deadline=None)
@given(st.lists(st.text(max_size=20), max_size=6))
def test_texts_have_the_same_terms_together_as_alone(texts: list[str]) -> None:
    codes, owners = terms_of(texts)
    assert (owners[:-1] <= owners[1:]).all()
    for place, text in enumerate(texts):
        assert sorted(codes[owners == place].tolist()) == terms(text)


@settings(deadline=None)
@given(st.text(max_size=30))
def test_folding_twice_is_folding_once(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@settings(deadline=None)
@given(st.text(st.characters(categories=["L", "Nd"]), min_size=1, max_size=80).map(fold).filter(str.isalnum))
def test_single_codes_are_those_of_terms(word: str) -> None:
    pairs = [code_of_pair(*pair) for pair in pairwise(word)]
    assert sorted([*pairs, code_of_word(word)]) == terms(word)


@given(
    st.text(st.sampled_from("카드분실a1"), min_size=1, max_size=9), st.integers(0, 8), st.text("가나다z", min_size=1)
)
def test_codes_of_words_with_another_character_are_those_of_the_words(word: str, place: int, others: str) -> None:
    place %= len(word)
    points = np.array([list(map(ord, others))])
    expected = [code_of_word(word[:place] + other + word[place + 1 :]) for other in others]
    assert codes_with([(word, place)], points).tolist() == [expected]
