import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.korean.jamo import (
    CONSONANTS,
    INITIALS,
    PAIRS,
    compatible,
    initials,
    is_initials,
    is_usual,
    letters,
    syllable,
)

SYLLABLES = st.characters(min_codepoint=0xAC00, max_codepoint=0xD7A3)
MIXED = st.text(st.one_of(SYLLABLES, st.sampled_from([*"abZ 1!ㄱㅏㄳㅘ한", "\ud800", "é", "카", "\u1103", "🙂"])))
OTHERS = st.text(st.characters(exclude_categories=["Mn", "Mc"], max_codepoint=0x10FF), max_size=20)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("과", "ㄱㅗㅏ"),
        ("값", "ㄱㅏㅂㅅ"),
        ("까", "ㄲㅏ"),
        ("밖에", "ㅂㅏㄲㅇㅔ"),
        ("의 왜", "ㅇㅡㅣ ㅇㅗㅐ"),
        ("신용ㄷ", "ㅅㅣㄴㅇㅛㅇㄷ"),
        ("ㄳㅘ", "ㄱㅅㅗㅏ"),
        ("\u1103\u1166\u11aa", "ㄷㅔㄱㅅ"),
        ("\u1103 \u1161 \u11ac", "ㄷ ㅏ ㄴㅈ"),
        ("K-뱅크 3%🙂\ud800", "K-ㅂㅐㅇㅋㅡ 3%🙂\ud800"),
        ("", ""),
    ],
)
def test_letters_are_the_keys_that_type_a_text(text: str, expected: str) -> None:
    assert letters(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("카드 분실", "ㅋㄷ ㅂㅅ"), ("까치", "ㄲㅊ"), ("ㄳㅏ한", "ㄱㅅㅏㅎ"), ("ATM 출금", "ATM ㅊㄱ"), ("\u110f", "ㅋ")],
)
def test_initials_are_the_first_consonants_of_syllables(text: str, expected: str) -> None:
    assert initials(text) == expected


@pytest.mark.parametrize("text", ["ㅋㄷ ㅂㅅ", "ㅋ", " ㄳ ", "ㄲ", "\u110f\u1103", "ㅋㅋㅋㅋ"])
def test_consonants_and_spaces_are_initials(text: str) -> None:
    assert is_initials(text)


@pytest.mark.parametrize("text", ["", " ", "ㅏ", "ㅋㅏ", "카ㄷ", "ㅋㄷ1", "zk", "ㅋㄷ!", "\u3000", "ㅋ🙂", "ㅤ"])
def test_other_characters_are_no_initials(text: str) -> None:
    assert not is_initials(text)


@given(MIXED)
def test_decomposed_texts_are_the_same_texts(text: str) -> None:
    decomposed = unicodedata.normalize("NFD", text)
    assert letters(decomposed) == letters(text)
    assert initials(decomposed) == initials(text)
    assert is_initials(decomposed) == is_initials(text)


def test_only_jamo_that_form_no_syllable_become_compatible() -> None:
    assert compatible("\u110f\u1161\u1103 \u11aaㄱé") == "카ㄷ ㄳㄱé"


@given(MIXED)
def test_letters_are_letters_already(text: str) -> None:
    assert letters(letters(text)) == letters(text)


@given(st.text(SYLLABLES, min_size=1))
def test_the_initials_of_syllables_are_initials(text: str) -> None:
    assert is_initials(initials(text))
    assert len(initials(text)) == len(text)


@given(st.text(SYLLABLES))
def test_each_syllable_begins_with_its_initial(text: str) -> None:
    assert [letters(each)[0] for each in text] == list(initials(text))


@given(OTHERS)
def test_other_scripts_are_only_composed(text: str) -> None:
    assert letters(text) == initials(text) == unicodedata.normalize("NFC", text)


def test_every_syllable_is_made_of_its_parts() -> None:
    assert syllable("ㅎ", "ㅏ", "ㄴ") == "한"
    assert syllable("ㅎ", "ㅢ", "ㅀ") == unicodedata.normalize("NFC", "\u1112\u1174\u11b6")
    with pytest.raises(ValueError, match="substring not found"):
        syllable("ㅏ", "ㅏ")


def test_every_letter_is_one_key() -> None:
    every = letters("".join(map(chr, range(0xAC00, 0xD7A4))))
    assert not set(every) & set(PAIRS)
    assert set(INITIALS) == set(every) & CONSONANTS


def test_syllables_of_words_are_usual_and_most_others_are_not() -> None:
    assert all(map(is_usual, "카드값찮"))
    assert sum(is_usual(chr(point)) for point in range(0xAC00, 0xD7A4)) == 2350
    assert not any(map(is_usual, "붅킄댗뜌"))
