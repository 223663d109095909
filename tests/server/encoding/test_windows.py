import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from server.encoding.windows import windows


def tokens_of(text: str, *, with_space: bool) -> NDArray[np.int32]:
    """Returns tokens of at most 3 characters; those that begin a word may have the space before them."""
    pattern = r"\s?\S{1,3}" if with_space else r"\S{1,3}"
    return np.array([match.span() for match in re.finditer(pattern, text)], dtype=np.int32).reshape(-1, 2)


def cut(text: str, size: int, *, overlap: int = 0, with_space: bool = False) -> list[str]:
    offsets = tokens_of(text, with_space=with_space)
    spans = windows(text, offsets, size=size, overlap=overlap, at_sentences=True)
    return [text[start:end].strip() for start, end in spans]


@settings(max_examples=300, deadline=None)
@given(
    text=st.text(st.sampled_from("abc가 \n.。!"), max_size=200).filter(lambda text: bool(text.strip())),
    size=st.integers(1, 30),
    overlap=st.integers(0, 40),
    at_sentences=st.booleans(),
    with_space=st.booleans(),
)
def test_windows_cover_the_text_and_share_the_overlap(
    *, text: str, size: int, overlap: int, at_sentences: bool, with_space: bool
) -> None:
    offsets = tokens_of(text, with_space=with_space)
    spans = windows(text, offsets, size=size, overlap=overlap, at_sentences=at_sentences)
    assert (spans[0][0], spans[-1][1]) == (0, len(text))
    for (_, end), (start, _) in pairwise(spans):
        assert not text[end:start].strip(), "only whitespace is between two windows"
    held = [[row for row, token in enumerate(offsets) if start <= token[0] and token[1] <= end] for start, end in spans]
    assert all(0 < len(each) <= size for each in held)
    for first, second in pairwise(held):
        assert len(set(first) & set(second)) == min(overlap, len(first) // 2)


@pytest.mark.parametrize("with_space", [False, True])
@pytest.mark.parametrize(
    ("text", "passages"),
    [
        ("aaa bbb. ccc ddd. eee fff.", ["aaa bbb.", "ccc ddd.", "eee fff."]),
        ("aaa bbb\nccc ddd\neee fff", ["aaa bbb", "ccc ddd", "eee fff"]),
        ("가나다 가나다! 가나다 가나다? 가나다", ["가나다 가나다!", "가나다 가나다?", "가나다"]),
        ("aaa bbb cccddd eee", ["aaa bbb", "cccddd eee"]),
        ("aaabbbcccdddeee", ["aaabbbccc", "dddeee"]),
    ],
    ids=["sentences", "lines", "korean", "words", "no boundary"],
)
def test_windows_end_with_a_sentence_or_else_with_a_word(text: str, passages: list[str], *, with_space: bool) -> None:
    assert cut(text, 3, with_space=with_space) == passages


def test_a_sentence_in_the_first_half_of_a_window_does_not_end_it() -> None:
    assert cut("a. bbbcccddd eee", 4) == ["a. bbbcccddd", "eee"]


def test_sentences_end_without_a_space_after_a_chinese_full_stop() -> None:
    assert cut("aa。bb。cccddd", 3) == ["aa。bb。", "cccddd"]
