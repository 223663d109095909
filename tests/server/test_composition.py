import sys
import unicodedata

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from server.composition import JOINING, LONGEST_CLUSTER, align, composed, is_visible, without_invisible

CHARACTERS = st.one_of(
    st.sampled_from(
        [*"ae한각ㄱ ", "\u0301", "\u0327", "\u1112", "\u1161", "\u11ab", "\u09c7", "\u09be", "\u212b", "\u0958"]
    ),
    st.characters(codec="utf-8"),
)
TEXTS = st.text(CHARACTERS, max_size=20)


def test_the_characters_that_join_the_one_before_are_those_of_this_version_of_unicode() -> None:
    characters = [chr(point) for point in range(sys.maxunicode + 1) if not 0xD800 <= point <= 0xDFFF]
    pairs = [
        unicodedata.decomposition(each).split()
        for each in characters
        if unicodedata.normalize("NFC", each) == each and not unicodedata.decomposition(each).startswith("<")
    ]
    seconds = {chr(int(pair[1], 16)) for pair in pairs if len(pair) == 2}
    seconds |= {unicodedata.normalize("NFD", chr(syllable))[-1] for syllable in range(0xAC00, 0xD7A4)}
    joining = {
        each
        for each in characters
        if not unicodedata.combining(each)
        and ((first := unicodedata.normalize("NFD", each)[0]) in seconds or unicodedata.combining(first))
    }
    assert joining == JOINING


@settings(deadline=None)
@given(TEXTS)
def test_an_aligned_text_is_composed(text: str) -> None:
    aligned = align(text)
    assume(not text or np.diff(aligned.written_starts).max() < LONGEST_CLUSTER)
    assert aligned.text == composed(text) == unicodedata.normalize("NFC", text)


@settings(deadline=None)
@given(st.text(CHARACTERS, max_size=12))
def test_a_span_of_the_composed_text_is_within_its_span_of_the_written_one(written: str) -> None:
    aligned = align(written)
    assume(not written or np.diff(aligned.written_starts).max() < LONGEST_CLUSTER)
    for start in range(len(aligned.text) + 1):
        spans = np.array([[start, end] for end in range(start, len(aligned.text) + 1)], np.int32)
        for (_, end), (first, last) in zip(spans.tolist(), aligned.written(spans).tolist(), strict=True):
            assert aligned.text[start:end] in composed(written[first:last])
    whole = np.array([[0, len(aligned.text)]], np.int32)
    assert aligned.written(whole).tolist() == [[0, len(written)]]


@pytest.mark.parametrize(
    ("text", "word"), [("나의 한글 책", "한글"), ("a café au lait", "café"), ("Å la", "Å"), ("बड़ा क़िला", "क़िला")]
)
def test_a_word_is_found_where_it_was_written(text: str, word: str) -> None:
    written, target = unicodedata.normalize("NFD", text), unicodedata.normalize("NFD", word)
    aligned = align(written)
    start = aligned.text.index(composed(word))
    ((first, last),) = aligned.written(np.array([[start, start + len(composed(word))]], np.int32)).tolist()
    assert written[first:last] == target


def test_a_run_of_marks_is_cut() -> None:
    aligned = align("a" + "\u0301" * 10 * LONGEST_CLUSTER)
    assert np.diff(aligned.written_starts).max() == LONGEST_CLUSTER


def test_a_long_text_is_aligned_in_sections() -> None:
    written = unicodedata.normalize("NFD", "한글 카드 " * 5000)
    aligned = align(written)
    assert aligned.text == "한글 카드 " * 5000
    last = np.array([[len(aligned.text) - 3, len(aligned.text) - 1]], np.int32)
    ((first, end),) = aligned.written(last).tolist()
    assert composed(written[first:end]) == "카드"


@pytest.mark.parametrize(
    "mark", ["\u00ad", "\u200b", "\u200e", "\u202e", "\u2060", "\u2066", "\ufeff", "\u3164", "\u2800"]
)
def test_invisible_marks_are_left_out(mark: str) -> None:
    assert without_invisible(f"{mark}연{mark}금{mark}") == "연금"
    assert not is_visible(f" {mark}\n")
    assert is_visible(f"{mark}금")


def test_joiners_of_emoji_and_of_scripts_stay() -> None:
    for text in ("👩\u200d💻", "می\u200cخواهم", "❤\ufe0f"):
        assert without_invisible(text) == text
