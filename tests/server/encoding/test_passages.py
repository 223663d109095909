import itertools

import pytest

from server.catalogue.document import Document, parts_of
from server.encoding.bundle import Bundle
from server.encoding.kind import TextKind
from server.encoding.passages import encodables_of, passages_of
from server.errors import UnfitPart
from tests.tiny_bundle import make_bundle

MAX_TOKENS = 16


@pytest.fixture(scope="session")
def titled(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle with few tokens that encodes texts after their titles."""
    directory = tmp_path_factory.mktemp("titled") / "bundle"
    return Bundle(make_bundle(directory, max_tokens=MAX_TOKENS, title_separator=" | "))


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
    passages = passages_of(Document(id="a", title="A", text="b", examples=["c"]), titled, overlap_tokens=4)
    assert passages.texts == [("A", TextKind.TITLE), ("A | b", TextKind.TEXT), ("c", TextKind.EXAMPLE)]
    assert passages.spans.tolist() == [[0, 0, 1], [1, 0, 1], [2, 0, 1]]


def test_a_long_text_is_covered_by_overlapping_passages_after_its_title(titled: Bundle) -> None:
    text = " ".join(f"낱말{number}" for number in range(40))
    document = Document(id="a", title="제목", text=text)
    passages = passages_of(document, titled, overlap_tokens=4)
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
        passages_of(document, titled, overlap_tokens=4)
