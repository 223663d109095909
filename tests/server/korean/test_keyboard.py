import unicodedata
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from server.korean.jamo import letters
from server.korean.keyboard import KEYS, SHIFTED, as_english, as_korean

SYLLABLES = st.characters(min_codepoint=0xAC00, max_codepoint=0xD7A3)
KOREAN = st.text(st.one_of(SYLLABLES, st.sampled_from(" .,1🙂\ud800日Ω")))
KEYSTROKES = st.text([*KEYS, *SHIFTED, *" 1"])

PAIRS = [
    ("dlcpgkseh", "이체한도"),
    ("zkem qnstlf", "카드 분실"),
    ("ghkswjs", "환전"),
    ("ehRoql", "도깨비"),
    ("rkqtdl Qkfms", "값이 빠른"),
    ("hello", "ㅗ디ㅣㅐ"),
    ("rkt", "갓"),
    ("rktk", "가사"),
    ("rkrtk", "각사"),
    ("rkrt", "갃"),
    ("dml", "의"),
    ("hk", "ㅘ"),
    ("krt", "ㅏㄱㅅ"),
    ("zke 3%!", "칻 3%!"),
    ("", ""),
]


@pytest.mark.parametrize(("english", "korean"), PAIRS)
def test_one_text_is_typed_on_both_layouts(english: str, korean: str) -> None:
    assert as_korean(english) == korean
    assert as_english(korean) == english


@given(KOREAN)
def test_korean_survives_the_english_layout(text: str) -> None:
    assert as_korean(as_english(text)) == unicodedata.normalize("NFC", text)


@given(KEYSTROKES)
def test_keystrokes_survive_the_korean_layout(keys: str) -> None:
    assert as_english(as_korean(keys)) == keys


@given(KEYSTROKES)
@example("rhksw")
@example("rkrtk")
def test_the_letters_of_a_text_grow_by_one_with_each_key(keys: str) -> None:
    typed = [letters(as_korean(keys[:count])) for count in range(len(keys) + 1)]
    assert [len(each) for each in typed] == list(range(len(keys) + 1))
    assert all(whole.startswith(part) for part, whole in pairwise(typed))


@given(KOREAN)
def test_decomposed_korean_has_the_same_keys(text: str) -> None:
    assert as_english(unicodedata.normalize("NFD", text)) == as_english(text)


@pytest.mark.parametrize(("typed", "meant"), [("Dlcp", "이체"), ("GKSEH", "한또"), ("RK", "까")])
def test_shift_changes_only_the_letters_that_have_a_doubled_one(typed: str, meant: str) -> None:
    assert as_korean(typed) == meant


def test_jamo_and_syllables_in_the_text_join_no_key() -> None:
    assert as_korean("ㅋk카dl") == "ㅋㅏ카이"


def test_other_scripts_stay_as_they_are() -> None:
    assert as_korean("日本 é ß 🙂 \ud800 12 ｚ") == "日本 é ß 🙂 \ud800 12 ｚ"
    assert as_english("日本 é ß 🙂 \ud800 12 ｚ abc") == "日本 é ß 🙂 \ud800 12 ｚ abc"
