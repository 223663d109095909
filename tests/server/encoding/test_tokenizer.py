"""Tests where long texts are cut."""

import unicodedata
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.encoding.kind import Side, TextKind
from server.encoding.segmenter import TOKENIZER_FILE
from server.encoding.tokenizer import Tokenizer
from server.errors import UnfitText
from tests.unigram import unigram_model

MAX_TOKENS = 24
texts = st.text(st.sampled_from("ab가나 \n\t.🚗\u200b"), max_size=300)


@pytest.fixture(scope="module")
def tokenizer(tiny_bundle: Path) -> Tokenizer:
    prefixes = {kind: "query: " if kind.side is Side.QUERY else "" for kind in TextKind}
    return Tokenizer(tiny_bundle / "query" / TOKENIZER_FILE, prefixes=prefixes, max_tokens=MAX_TOKENS)


@pytest.fixture(scope="module")
def unigram(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    path = unigram_model(tmp_path_factory.mktemp("unigram"))
    return Tokenizer(path, prefixes=dict.fromkeys(TextKind, ""), max_tokens=MAX_TOKENS)


@settings(max_examples=200, deadline=None)
@given(
    text=st.text(st.sampled_from("ab가나카드 \n\t.🚗\u200b㈜㎏\ufdfaＡ\u1112\u1161\u11ab"), max_size=300),
    kind=st.sampled_from(TextKind),
    before=st.sampled_from(["", "a | ", "가나 | "]),
    overlap=st.integers(0, 40),
)
@pytest.mark.parametrize("library", ["tokenizer", "unigram"])
def test_passages_cover_the_text_and_fit_the_model(
    request: pytest.FixtureRequest, *, library: str, text: str, kind: TextKind, before: str, overlap: int
) -> None:
    tokenizer: Tokenizer = request.getfixturevalue(library)
    spans = tokenizer.split(text, kind, before=before, overlap_tokens=overlap)
    assert (spans[0][0], spans[-1][1]) == (0, len(text))
    starts, ends = [start for start, _ in spans], [end for _, end in spans]
    assert starts == sorted(set(starts)), "each passage starts after the one before"
    assert ends == sorted(set(ends)), "each passage ends after the one before"
    for (_, end), (start, _) in pairwise(spans):
        assert not text[end:start].strip(), "only whitespace is between two passages"
    tokens = tokenizer.tokenize([(before + text[start:end], kind) for start, end in spans])
    assert all(each.whole_count == len(each.ids) for each in tokens)
    (whole,) = tokenizer.tokenize([(before + text, kind)])
    assert (len(spans) == 1) is (whole.whole_count == len(whole.ids))


@settings(max_examples=100, deadline=None)
@given(text=texts, overlap=st.integers(0, 40))
def test_neighbours_share_the_overlap_but_at_most_half_of_a_passage(
    tokenizer: Tokenizer, text: str, overlap: int
) -> None:
    spans = tokenizer.split(text, TextKind.TEXT, overlap_tokens=overlap)
    for (first, end), (start, _) in pairwise(spans):
        shared = len("".join(text[start:end].split()))  # A token is a character here.
        size = len("".join(text[first:end].split()))
        assert shared == min(overlap, size // 2)


def test_a_text_that_fits_is_one_passage_to_the_last_token(tokenizer: Tokenizer) -> None:
    for count, passages in ((MAX_TOKENS, 1), (MAX_TOKENS + 1, 2)):
        assert len(tokenizer.split("a" * count, TextKind.TEXT, overlap_tokens=0)) == passages
    room = MAX_TOKENS - len("query:") - len("b|")
    for count, passages in ((room, 1), (room + 1, 2)):
        assert len(tokenizer.split("a" * count, TextKind.QUERY, before="b | ", overlap_tokens=0)) == passages


@pytest.mark.parametrize(("most_tokens", "passages"), [(8, 3), (12, 2), (18, 1), (19, 1), (10_000, 1)])
def test_passages_of_at_most_some_tokens_end_with_a_sentence(
    tokenizer: Tokenizer, most_tokens: int, passages: int
) -> None:
    text = "abcde. abcde. abcde."
    spans = tokenizer.split(text, TextKind.TEXT, before="b | ", overlap_tokens=0, most_tokens=most_tokens)
    assert len(spans) == passages
    assert all(text[start:end].endswith(".") for start, end in spans)


def test_a_prefix_that_leaves_no_room_is_an_error(tokenizer: Tokenizer) -> None:
    with pytest.raises(UnfitText, match="has no room after its title"):
        tokenizer.split("a" * 30, TextKind.TEXT, before="b" * MAX_TOKENS, overlap_tokens=4)


@pytest.mark.parametrize("library", ["tokenizer", "unigram"])
def test_a_text_has_the_same_tokens_in_every_composition(request: pytest.FixtureRequest, library: str) -> None:
    tokenizer: Tokenizer = request.getfixturevalue(library)
    for text in ("가나 카드", "a 가나가나"):
        written = unicodedata.normalize("NFD", text)
        assert written != text
        assert tokenizer.tokenize([(written, TextKind.TITLE)]) == tokenizer.tokenize([(text, TextKind.TITLE)])


def test_a_decomposed_text_is_cut_at_the_same_characters(tokenizer: Tokenizer) -> None:
    text = "가나카드 " * 40
    written = unicodedata.normalize("NFD", text)
    spans = tokenizer.split(text, TextKind.TEXT, overlap_tokens=4)
    decomposed = tokenizer.split(written, TextKind.TEXT, overlap_tokens=4)
    assert len(spans) > 5
    cuts = [unicodedata.normalize("NFC", written[start:end]) for start, end in decomposed]
    assert cuts == [text[start:end] for start, end in spans]
    assert decomposed[-1][1] == len(written)


def test_marks_without_end_are_cut(tokenizer: Tokenizer) -> None:
    text = "a" + "\u0301" * 500
    spans = tokenizer.split(text, TextKind.TEXT, overlap_tokens=4)
    assert (spans[0][0], spans[-1][1]) == (0, len(text))
