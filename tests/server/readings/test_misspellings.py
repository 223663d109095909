import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.typed.typos import ERRORS, Error
from server.korean.jamo import is_usual
from server.korean.keyboard import as_english, as_korean
from server.readings.misspellings import corrected
from tests.server.readings.making import Texts

WORDS = ["카드", "적금", "만들기", "실업급여", "자동이체", "확인", "연회비", "대출"]
texts = Texts(WORDS)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("카ㅡ", "카드"),
        ("칻드", "카드"),
        ("ㅋ다ㅡ 만들기", "카드 만들기"),
        ("적금 ㅁ나들기", "적금 만들기"),
        ("확ㅇ니", "확인"),
        ("대춮", "대출"),
        ("(카ㅡ)", "(카드)"),
        ("카ㅡ!!", "카드!!"),
        ("카ㅡㅋㅋ", "카드ㅋㅋ"),
        ("ㅈ거금 ㅁ나들기", "적금 만들기"),
    ],
)
def test_a_broken_word_becomes_the_word_that_is_one_key_away(typed: str, meant: str) -> None:
    assert corrected(typed, texts) == meant


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "저금",
        "실어급여",
        "카드ㅠ",
        "카드 ㅋㅋ",
        "ㅋㄷ",
        "ㅡㅡ",
        "ㅏ",
        "카ㅡx",
        "1카ㅡ",
        "card",
        "칻칻칻칻",
        "ㅋ다ㅏㅡ",
        "카ㅡ" * 200,
    ],
)
def test_other_texts_stay(typed: str) -> None:
    assert corrected(typed, texts) is None


@pytest.mark.parametrize("typed", ["뷁쀍궭 쀍뷁궭", "좌뀒조ㅊ 푍릗", "쀍카 칻드"])
def test_words_that_are_no_slips_are_compared_with_few_others(typed: str) -> None:
    asked = Texts(WORDS)
    assert corrected(typed, asked) is None
    assert asked.calls <= 2


def test_a_broken_word_of_the_catalogue_stays() -> None:
    assert corrected("카ㅡ", Texts([*WORDS, "카ㅡ"])) is None


def test_of_several_corrections_one_must_be_in_far_more_documents() -> None:
    assert corrected("카ㅡ", Texts(["카드", "카스"])) is None
    assert corrected("카ㅡ", Texts(["카드", "카드 한도", "카스"])) == "카드"


def test_only_some_words_are_corrected() -> None:
    assert corrected("카ㅡ 카ㅡ 카ㅡ", texts) == "카드 카드 카ㅡ"


@settings(deadline=None)
@given(word=st.sampled_from(WORDS), error=st.sampled_from(ERRORS), chance=st.randoms(use_true_random=False))
def test_every_broken_word_with_an_error_of_one_key_is_corrected(
    word: str, error: Error, chance: random.Random
) -> None:
    typed = as_korean(chance.choice(list(error(as_english(word)))))
    found = corrected(typed, texts)
    assert found in {word, None}
    if re.fullmatch("[가-힣]+", typed) and all(map(is_usual, typed)):
        assert found is None


@settings(deadline=None)
@given(st.text(st.sampled_from("카드칻ㅋㅡㅏㄷ분실 a1!")))
def test_no_text_fails(text: str) -> None:
    found = corrected(text, texts)
    assert found is None or found != text
