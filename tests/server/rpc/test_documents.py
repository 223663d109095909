from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaja.v1 import Delete as DeleteMessage
from chaja.v1 import Document as DocumentMessage
from chaja.v1 import LocalizedText
from chaja.v1 import Upsert as UpsertMessage
from server.catalogue.changes import Delete, Outcome, Stored
from server.catalogue.document import LARGEST_EXACT_INTEGER, MAX_ELEMENTS, Document
from server.errors import EncodingFailed, InvalidRequest, UnfitPart
from server.rpc import masks
from server.rpc.documents import to_delete, to_message, to_result, to_upsert
from server.rpc.limits import Limits
from server.settings import Settings

UNIVERSE = st.characters(exclude_categories=["Cs"])
TEXTS = st.text(UNIVERSE, min_size=1, max_size=20).filter(str.strip)
LOCALIZED = TEXTS | st.dictionaries(st.sampled_from(["ko", "en", "ar"]), TEXTS, max_size=3)
NUMBERS = st.integers(-LARGEST_EXACT_INTEGER, LARGEST_EXACT_INTEGER) | st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.text(UNIVERSE, max_size=10) | st.booleans() | NUMBERS
DOCUMENTS = st.builds(
    Document,
    id=TEXTS,
    title=LOCALIZED,
    text=LOCALIZED,
    examples=st.lists(TEXTS, max_size=3),
    attributes=st.dictionaries(st.text(UNIVERSE, max_size=10), SCALARS | st.lists(SCALARS, max_size=3), max_size=4),
).filter(lambda document: document.problem() is None)


def limits(**values: int) -> Limits:
    return Limits.of(Settings(bundle=Path(), **{"max_document_characters": 1000, **values}))  # type: ignore[arg-type]


def read(message: DocumentMessage, **values: int) -> Document:
    return to_upsert(UpsertMessage(document=message), field="upserts[0]", limits=limits(**values)).document


def violations_of(message: DocumentMessage, **values: int) -> list[tuple[str, str]]:
    with pytest.raises(InvalidRequest) as raised:
        read(message, **values)
    return [(each.field.removeprefix("upserts[0].document"), each.description) for each in raised.value.violations]


@given(DOCUMENTS, st.integers(0, 2**63 - 1))
def test_a_document_is_equal_after_conversion_to_a_message_and_back(document: Document, version: int) -> None:
    message = DocumentMessage.FromString(
        to_message(Stored(document, version), masks.DOCUMENTS.everything).SerializeToString()
    )
    assert message.version == version
    assert read(message) == document
    assert list(read(message).titles()) == list(document.titles()), "the first is shown by default"


def test_whole_numbers_are_read_as_integers() -> None:
    message = DocumentMessage(id="a", examples=["x"])
    message.attributes.update({"b": 14, "a": 0.5, "c": [True, 2.0], "d": 1e300})
    attributes = read(message).attributes
    assert repr(attributes) == "{'a': 0.5, 'b': 14, 'c': [True, 2], 'd': 1e+300}"


def test_a_text_without_a_language_is_a_string() -> None:
    message = DocumentMessage(id="a", titles=[LocalizedText(text="x")])
    assert read(message) == Document(id="a", title="x")
    message.titles.add(language_code="ko", text="y")
    assert read(message).title == {"": "x", "ko": "y"}


def attributed(**attributes: Any) -> DocumentMessage:
    message = DocumentMessage(id="a", examples=["x"])
    message.attributes.update(attributes)
    return message


@pytest.mark.parametrize(
    ("message", "field", "expected"),
    [
        (DocumentMessage(examples=["x"]), ".id", "is empty"),
        (DocumentMessage(id="\t", examples=["x"]), ".id", "is empty"),
        (DocumentMessage(id="x" * 257, examples=["x"]), ".id", "has 257 characters; at most 256"),
        (DocumentMessage(id="a"), "", "has nothing to search"),
        (DocumentMessage(id="a", titles=[LocalizedText()]), ".titles[0].text", "is blank"),
        (DocumentMessage(id="a", texts=[LocalizedText(text="\u3000")]), ".texts[0].text", "is blank"),
        (DocumentMessage(id="a", examples=["x", ""]), ".examples[1]", "is blank"),
        (
            DocumentMessage(id="a", titles=[LocalizedText(language_code="ko", text="x")] * 2),
            ".titles[1].language_code",
            "is 'ko' twice",
        ),
        (
            DocumentMessage(id="a", texts=[LocalizedText(language_code=code, text="x") for code in ("en-US", "EN_us")]),
            ".texts[1].language_code",
            "is 'en-us' twice",
        ),
        (attributed(a=None), ".attributes.a", "must be a string, a number, a boolean"),
        (attributed(a={"b": 1}), ".attributes.a", "must be a string, a number, a boolean"),
        (attributed(a=["x", ["y"]]), ".attributes.a[1]", "must be a string, a number, a boolean"),
        (attributed(a=float("nan")), ".attributes.a", "is nan; numbers must be finite"),
        (attributed(a=[1, float("inf")]), ".attributes.a[1]", "is inf; numbers must be finite"),
    ],
)
def test_a_violation_is_named_by_its_field(message: DocumentMessage, field: str, expected: str) -> None:
    ((wrong, description),) = violations_of(message)
    assert wrong == field
    assert description.startswith(expected)


def test_an_unset_value_is_rejected() -> None:
    message = DocumentMessage(id="a", examples=["x"])
    _ = message.attributes.fields["a"]
    message.attributes.fields["a"].SetInParent()
    assert [field for field, _ in violations_of(message)] == [".attributes.a"]


def test_all_characters_of_a_document_count_for_its_limit() -> None:
    message = DocumentMessage(
        id="1", titles=[LocalizedText(language_code="ko", text="45")], texts=[LocalizedText(text="67")], examples=["89"]
    )
    message.attributes.update({"a": "bc", "d": ["e", "f", 5]})
    assert read(message, max_document_characters=15)
    assert violations_of(message, max_document_characters=14) == [
        ("", "has 15 characters in all; at most 14 are allowed: split it")
    ]


def many(field: str, count: int) -> DocumentMessage:
    """Returns a document with an example and further elements of a field, `count` in all."""
    message = DocumentMessage(id="1", examples=["x"])
    for number in range(count - 1):
        match field:
            case "examples":
                message.examples.append("x")
            case "titles":
                message.titles.append(LocalizedText(language_code=f"l{number}", text="x"))
            case "attributes":
                message.attributes.fields[f"a{number}"].bool_value = True
            case _:
                message.attributes.fields["a"].list_value.values.add(bool_value=True)
    return message


@pytest.mark.parametrize("field", ["examples", "titles", "attributes", "list"])
def test_a_document_with_too_many_elements_is_rejected_before_they_are_read(field: str) -> None:
    allowed = "at most 30000 are allowed: split it"
    assert violations_of(many(field, MAX_ELEMENTS + 1)) == [
        ("", f"has 30001 titles, texts, examples and attribute values; {allowed}")
    ]
    assert read(many(field, MAX_ELEMENTS), max_document_characters=10**6).element_count() == MAX_ELEMENTS


def test_deletions_are_read_with_their_versions() -> None:
    messages = [DeleteMessage(id="a"), DeleteMessage(id="b", expected_version=0), DeleteMessage(id="c")]
    assert [to_delete(each, field="it") for each in messages] == [Delete("a"), Delete("b", 0), Delete("c")]


def test_the_error_of_a_text_that_the_model_cannot_read_has_its_path() -> None:
    result = to_result(Outcome("a", 0, False, UnfitPart("title", 1, "has no letters")), field="upserts[2].document")
    assert (result.error.code, result.error.reason) == (3, "INVALID_REQUEST")
    assert result.error.message.startswith("upserts[2].document.titles[1].text: has no letters")


def test_an_internal_error_shows_its_incident() -> None:
    failed = EncodingFailed()
    result = to_result(Outcome("a", 0, False, failed), field="upserts[2].document")
    assert (result.error.code, result.error.reason) == (13, "INTERNAL_FAULT")
    assert failed.incident in result.error.message


def test_a_document_that_no_answer_could_hold_is_refused() -> None:
    message = DocumentMessage(id="a", examples=["x"])
    message.attributes.update({"numbers": [1.5] * 2000})
    size = message.ByteSize()
    assert read(message, max_response_bytes=size + 4096)
    assert violations_of(message, max_response_bytes=size + 4095) == [
        (
            "",
            f"has {size} bytes as a message; at most {size - 1} are allowed, so that an answer can hold it: split it",
        )
    ]
