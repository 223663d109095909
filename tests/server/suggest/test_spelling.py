import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from server.suggest.spelling import LONGEST_TEXT, Word, characters, end_after, has_letters, spelling


def test_spaces_and_punctuation_separate_words_and_are_left_out() -> None:
    spelled = spelling("새 카드(A-1)")
    assert spelled.letters == "ㅅㅐㅋㅏㄷㅡa1"
    assert spelled.initials == "ㅅㅋㄷa1"
    assert spelled.words == (Word(0, 0, 0), Word(2, 2, 1), Word(5, 6, 3), Word(7, 7, 4))


@pytest.mark.parametrize(
    ("text", "letters"),
    [
        ("ＣＡＲＤ", "card"),
        ("카\u200b드", "ㅋㅏㄷㅡ"),
        ("ㅋㅋㄳ", "ㅋㅋㄱㅅ"),
        ("ﾊﾟ", "パ"),
        ("㈜카", "ㅈㅜㅋㅏ"),
        ("e\u0301", "é"),
        ("🙂 :)", "\ue242"),
        ("카드·적금", "ㅋㅏㄷㅡㅈㅓㄱㄱㅡㅁ"),
        ("\ud800", ""),
    ],
)
def test_letters_are_folded(text: str, letters: str) -> None:
    assert spelling(text).letters == letters


@given(st.text(max_size=20))
def test_composition_changes_no_spelling(text: str) -> None:
    composed = unicodedata.normalize("NFC", text)
    decomposed = unicodedata.normalize("NFD", text)
    assert spelling(composed)[:2] == spelling(decomposed)[:2]


@given(st.text(max_size=300), st.integers(0, 300))
@example("\uf900", 1)  # It is not composed, and nothing is left.
def test_characters_are_the_whole_text(text: str, start: int) -> None:
    places = [(first, end) for first, end, _ in characters(text, start)]
    assert "".join(text[first:end] for first, end in places) == text[start:LONGEST_TEXT]


def test_a_part_ends_with_the_character_of_its_last_letter() -> None:
    text = "새 카드 분실"
    assert [end_after(text, 2, units) for units in range(6)] == [2, 3, 3, 4, 4, 6]
    assert end_after(text, 2, 3, by_initials=True) == 6


def test_letters_are_read_from_a_place_on() -> None:
    assert has_letters("새 카드 분실", 2, "ㅋㅏㄷㅡㅂ")
    assert has_letters("새 카드 분실", 5, "ㅂㅜㄴㅅㅣㄹ")
    assert not has_letters("새 카드 분실", 5, "ㅂㅜㄴㅅㅣㄹㅅ")
    assert not has_letters("새 카드 분실", 2, "ㅋㅏㄷㅣ")
