import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.catalogue.document import Document, content_of
from server.catalogue.partial import Fields, read_document

WHOLE = Document(
    id="a",
    title={"ko": "환율", "en": "Rates"},
    text="글",
    examples=["하나", "둘"],
    attributes={"price": 3, "tags": ["x", True], "a.b": "dotted"},
)
NAMES = ["title", "text", "examples", "attributes"]


def test_without_fields_the_whole_document_is_read() -> None:
    assert read_document(content_of(WHOLE)) == WHOLE


@given(st.frozensets(st.sampled_from(NAMES)))
def test_only_the_wanted_fields_are_read(names: frozenset[str]) -> None:
    read = read_document(content_of(WHOLE), Fields(names))
    empty = Document(id="a")
    for name in NAMES:
        assert getattr(read, name) == getattr(WHOLE if name in names else empty, name)
    assert read.id == "a"


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (["price", "none"], {"price": 3}),
        (["a.b", "tags"], {"tags": ["x", True], "a.b": "dotted"}),
        (["a"], {}),
    ],
)
def test_attributes_are_selected_by_name(wanted: list[str], found: dict[str, object]) -> None:
    read = read_document(content_of(WHOLE), Fields(frozenset(["attributes"]), frozenset(wanted)))
    assert read.attributes == found
    bare = read_document(content_of(Document(id="b")), Fields(frozenset(NAMES), frozenset(wanted)))
    assert bare == Document(id="b")
