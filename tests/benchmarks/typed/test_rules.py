import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.typed.rules import (
    INITIALS_LENGTHS,
    KEPT_SYLLABLES,
    Rule,
    decomposed,
    in_capitals,
    in_initials,
    initials_after_word,
    initials_joined,
    initials_without_spaces,
    on_dubeolsik,
    on_mixed_layouts,
    on_qwerty,
    spaced_apart,
    unfinished,
    unfinished_on_qwerty,
    with_caps_lock,
    with_doubled_spaces,
    with_misplaced_space,
    with_stray_space,
    without_spaces,
)
from server.korean.jamo import initials, is_initials, letters
from server.korean.keyboard import as_english, as_korean

words = st.text(st.characters(min_codepoint=ord("가"), max_codepoint=ord("힣")), min_size=1, max_size=6)
korean = st.lists(words, min_size=1, max_size=5).map(" ".join)
english = st.from_regex(r"[A-Za-z][a-z]{0,8}( [a-z]{1,8}){0,4}", fullmatch=True)
chances = st.integers(0, 1000).map(random.Random)


@pytest.mark.parametrize(
    ("rule", "text", "typed"),
    [
        (on_qwerty, "카드 분실", "zkem qnstlf"),
        (on_qwerty, "이체한도 2배?", "dlcpgkseh 2qo?"),
        (on_dubeolsik, "Hello", "ㅗ디ㅣㅐ"),
        (in_initials, "카드 분실", "ㅋㄷ ㅂㅅ"),
        (initials_without_spaces, "카드 분실", "ㅋㄷㅂㅅ"),
        (initials_joined, "카드 분실", "ㅋㄷㅄ"),
        (in_capitals, "계좌", "RPWHK"),
        (with_stray_space, "카드", "카 드"),
        (initials_after_word, "카드 분실", "카드 ㅂㅅ"),
        (with_caps_lock, "카드 빨리", "ZKEM qKFFL"),
        (decomposed, "카드", "\u110f\u1161\u1103\u1173"),
        (spaced_apart, "카드 분실", "카 드 분 실"),
        (without_spaces, "카드 분실 신고", "카드분실신고"),
        (with_doubled_spaces, "카드 분실 신고", "카드  분실  신고"),
    ],
)
def test_a_text_has_a_typed_form(rule: Rule, text: str, typed: str) -> None:
    assert rule(text, random.Random(0)) == typed


@pytest.mark.parametrize("rule", [on_qwerty, in_initials, unfinished, without_spaces, with_doubled_spaces])
@pytest.mark.parametrize("text", ["ETF 추천", "lost card", "조회·납부", ""])
def test_a_text_that_the_korean_layout_does_not_type_has_no_form(rule: Rule, text: str) -> None:
    assert rule(text, random.Random(0)) is None


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (on_dubeolsik, "영어 card"),
        (in_initials, "금 투자"),
        (initials_without_spaces, "이체한도"),
        (initials_joined, "이체한도"),
        (with_stray_space, "금"),
        (initials_after_word, "이체한도"),
        (on_mixed_layouts, "이체한도"),
        (unfinished, "환전"),
        (without_spaces, "환전"),
        (with_misplaced_space, "환전"),
    ],
)
def test_a_text_without_the_right_characters_has_no_form(rule: Rule, text: str) -> None:
    assert rule(text, random.Random(0)) is None


@given(korean, chances)
def test_a_slip_to_qwerty_converted_back_is_the_text(text: str, chance: random.Random) -> None:
    typed = on_qwerty(text, chance)
    assert typed is not None
    assert typed.isascii()
    assert as_korean(typed) == text


@given(english, chances)
def test_a_slip_to_dubeolsik_converted_back_is_the_text(text: str, chance: random.Random) -> None:
    typed = on_dubeolsik(text, chance)
    assert typed is not None
    assert as_english(typed) == text.lower()


@given(korean, chances)
def test_initials_are_those_of_whole_words_from_the_beginning(text: str, chance: random.Random) -> None:
    typed = in_initials(text, chance)
    if typed is not None:
        assert is_initials(typed)
        assert len(typed.replace(" ", "")) in INITIALS_LENGTHS
        assert initials(text + " ").startswith(typed + " ")


@given(korean, chances)
def test_an_unfinished_text_ends_within_a_syllable(text: str, chance: random.Random) -> None:
    typed = unfinished(text, chance)
    ends = [letters(text[:place]) for place in range(len(text) + 1)]
    if typed is None:
        assert len(text.replace(" ", "")) <= KEPT_SYLLABLES
    else:
        assert letters(text).startswith(letters(typed))
        assert letters(typed) not in ends
        assert len(letters(typed)) > len(letters(text[:KEPT_SYLLABLES]))


@given(korean, chances)
def test_one_word_is_on_the_other_layout(text: str, chance: random.Random) -> None:
    typed = on_mixed_layouts(text, chance)
    if typed is None:
        assert " " not in text
    else:
        assert sum(old != new for old, new in zip(text.split(), typed.split(), strict=True)) == 1
        assert as_korean(typed) == text


@given(korean, chances)
def test_unfinished_keys_are_the_first_ones(text: str, chance: random.Random) -> None:
    typed = unfinished_on_qwerty(text, chance)
    assert typed is None or as_english(text).startswith(typed)


@given(korean, chances)
def test_a_misplaced_space_moves_no_syllable(text: str, chance: random.Random) -> None:
    typed = with_misplaced_space(text, chance)
    assert typed is None or (typed != text and typed.replace(" ", "") == text.replace(" ", ""))


@given(korean, chances)
def test_spacing_keeps_the_words(text: str, chance: random.Random) -> None:
    assert (doubled := with_doubled_spaces(text, chance)) is None or doubled.split("  ") == text.split(" ")
    assert (without := without_spaces(text, chance)) is None or without == "".join(text.split(" "))
