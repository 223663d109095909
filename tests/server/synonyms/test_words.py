import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.lexical.tokens import fold, terms_of
from server.synonyms.words import _SPACING, joined, key_of, spans_of, words_of


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("체크카드", "체크 카드"),
        ("체크카드", unicodedata.normalize("NFD", "체크카드")),
        ("ＡＴＭ", "atm"),
        ("n빵", "N 빵"),
        ("13월의 월급", "13 월의월급"),
        ("pay-day", "pay day"),
        ("수도·전기", "수도 전기"),
        ("❤\ufe0f", "❤"),
    ],
)
def test_differences_of_notation_do_not_count(one: str, other: str) -> None:
    assert key_of(one) == key_of(other)


def test_a_space_between_latin_letters_counts() -> None:
    assert key_of("pay day") != key_of("payday")


@given(st.text())
def test_the_words_are_those_of_the_lexical_index(text: str) -> None:
    words = words_of(text)
    assert all(word == fold(word) or len(word) > 1 for word in words)
    symbols = any(unicodedata.category(character) == "So" or character == "\ufe0f" for character in fold(text))
    if not symbols and not any("\ufe00" <= character <= "\ufe0f" for character in fold(text)):
        assert set(terms_of([" ".join(words)])[0].tolist()) == set(terms_of([text])[0].tolist())


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E) | st.sampled_from("카드분실가힣")))
def test_plain_texts_have_the_same_words_on_the_short_way(text: str) -> None:
    assert words_of(text) == fold(text).translate(_SPACING).split()


@given(st.lists(st.text(st.sampled_from("카드ab1"), min_size=1)))
def test_each_joined_word_is_where_it_is_said_to_begin(words: list[str]) -> None:
    text, starts = joined(words)
    assert [text[start : start + len(word)] for start, word in zip(starts, words, strict=True)] == words


def test_spans_are_those_of_the_words_as_written() -> None:
    text = " (ＡＴＭ)·체카는?🚗"
    assert [text[start:end] for start, end in spans_of(text, words_of(text)) or ()] == ["ＡＴＭ", "체카는", "🚗"]


def test_there_are_no_spans_where_folding_makes_two_words_of_one() -> None:
    assert words_of("a½b") == ["a1", "2b"]
    assert spans_of("a½b", words_of("a½b")) is None
