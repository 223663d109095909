import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.catalogue.document import Document, parts_of
from server.encoding.bundle import Bundle
from server.encoding.cutting import Cutting
from server.encoding.kind import TextKind
from server.encoding.passages import encodables_of, passages_of
from server.errors import UnfitPart
from tests.tiny_bundle import make_bundle

MAX_TOKENS = 16


@pytest.fixture(scope="session")
def titled(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle with few tokens that encodes texts after their titles."""
    directory = tmp_path_factory.mktemp("titled") / "bundle"
    bundle = make_bundle(directory, max_tokens=MAX_TOKENS, title_separator=" | ")
    return Bundle(bundle, cutting=Cutting(overlap_tokens=4))


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with few tokens that encodes texts without their titles."""
    return make_bundle(tmp_path_factory.mktemp("small") / "bundle", max_tokens=MAX_TOKENS)


def test_a_text_is_encoded_after_the_title_in_its_language_or_else_the_first_title() -> None:
    title = {"ko": "가", "en": "A"}
    documents = [
        Document(id="both", title=title, text={"en-US": "text", "fr": "texte"}, examples=["example"]),
        Document(id="plain", title="A", text="text"),
        Document(id="no title", text="text"),
    ]
    texts = [each.text[0] for document in documents for each in encodables_of(document, " | ")]
    assert texts == ["가", "A", "A | text", "가 | texte", "example", "A", "A | text", "text"]
    for document in documents:
        alone = [each.text[0] for each in encodables_of(document, None)]
        assert alone == [part.text for part in parts_of(document)]


def test_each_field_is_encoded_as_its_kind(titled: Bundle) -> None:
    passages = passages_of(Document(id="a", title="A", text="b", examples=["c"]), titled)
    assert passages.texts == [("A", TextKind.TITLE), ("A | b", TextKind.TEXT), ("c", TextKind.EXAMPLE)]
    assert passages.spans.tolist() == [[0, 0, 1], [1, 0, 1], [2, 0, 1]]


def test_a_long_text_is_covered_by_overlapping_passages_after_its_title(titled: Bundle) -> None:
    text = " ".join(f"낱말{number}" for number in range(40))
    document = Document(id="a", title="제목", text=text)
    passages = passages_of(document, titled)
    spans = passages.spans[1:].tolist()
    assert len(spans) > 5
    assert {position for position, _, _ in spans} == {1}
    assert (spans[0][1], spans[-1][2]) == (0, len(text))
    for (_, _, end), (_, start, _) in itertools.pairwise(spans):
        assert len("".join(text[start:end].split())) == 4, "a token is a character here"
    for (_, start, end), (encoded, _) in zip(spans, passages.texts[1:], strict=True):
        assert encoded == f"제목 | {text[start:end]}"
    assert all(tokens.whole_count == len(tokens.ids) for tokens in titled.tokenize(passages.texts))


def test_a_title_that_leaves_no_room_is_an_error_of_the_text(titled: Bundle) -> None:
    document = Document(id="a", title="x" * MAX_TOKENS, text="y" * MAX_TOKENS)
    with pytest.raises(UnfitPart, match="text: has no room after its title"):
        passages_of(document, titled)


def cut_at(tokens: int, directory: Path, **options: Any) -> Bundle:
    bundle = make_bundle(directory / "bundle", **options)
    return Bundle(bundle, cutting=Cutting(passage_tokens=tokens, overlap_tokens=0))


def test_texts_longer_than_the_setting_also_have_short_passages_after_their_title(tmp_path: Path) -> None:
    document = Document(
        id="a",
        title={"ko": "제목 하나", "en": "A title that is long"},
        text={"ko": "가나다. 라마바사. 아자차카", "en": "Short."},
        examples=["An example of many tokens"],
    )
    passages = passages_of(document, cut_at(8, tmp_path))
    assert [text for text, _ in passages.texts] == [
        *("제목 하나", "A title that is long"),
        *("가나다. 라마바사. 아자차카", "제목 하나 가나다.", "제목 하나 라마바사.", "제목 하나 아자차카"),
        *("Short.", "An example of many tokens"),
    ]
    assert passages.spans[2:6].tolist() == [[2, 0, 15], [2, 0, 4], [2, 5, 10], [2, 11, 15]]


def test_the_separator_of_the_bundle_is_before_passages_of_any_length(tmp_path: Path) -> None:
    document = Document(id="a", title="제목", text={"ko": "가나다. 라마바사.", "en": "Short."})
    passages = passages_of(document, cut_at(8, tmp_path, title_separator=" | "))
    texts = [text for text, _ in passages.texts]
    assert texts == ["제목", "제목 | 가나다. 라마바사.", "제목 | 가나다.", "제목 | 라마바사.", "제목 | Short."]


@pytest.mark.parametrize("title", ["", "A title of more tokens than a passage"])
def test_passages_stand_alone_without_a_title_or_with_a_long_one(tmp_path: Path, title: str) -> None:
    text = "가나다. 라마바사. 아자차카"
    document = Document(id="a", title=title or {}, text=text)
    texts = [text for text, kind in passages_of(document, cut_at(8, tmp_path)).texts if kind is TextKind.TEXT]
    assert texts == [text, "가나다.", "라마바사.", "아자차카"]


@settings(max_examples=300, deadline=None)
@given(
    title=st.text(st.sampled_from("ab가 "), max_size=30),
    text=st.text(st.sampled_from("ab가나 \n."), min_size=1, max_size=120),
    tokens=st.integers(0, 20),
)
def test_every_document_that_fits_without_the_setting_fits_with_it(
    small: Path, title: str, text: str, tokens: int
) -> None:
    document = Document(id="a", title=title if title.strip() else {}, text=text)
    bundle = Bundle(small, cutting=Cutting(tokens))
    passages = passages_of(document, bundle)
    assert all(each.whole_count == len(each.ids) for each in bundle.tokenize(passages.texts))
    whole = passages_of(document, Bundle(small)).spans
    np.testing.assert_array_equal(passages.spans[: len(whole)], whole)
    short = [(start, end) for _, start, end in passages.spans[len(whole) :].tolist()]
    characters = len("".join(text.split()))  # A token is a character here.
    assert bool(short) is (0 < tokens < min(characters, MAX_TOKENS))
    assert all(len("".join(text[start:end].split())) <= tokens for start, end in short)
    assert not short or (short[0][0], short[-1][1]) == (0, len(text))
