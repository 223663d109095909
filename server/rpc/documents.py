"""Converts documents and writes between the protocol's messages and the catalogue's types."""

import math
from collections.abc import Iterable

from google.protobuf.struct_pb2 import Struct, Value

from chaja.v1 import Change as ChangeMessage
from chaja.v1 import Delete as DeleteMessage
from chaja.v1 import Document as DocumentMessage
from chaja.v1 import LocalizedText, WriteError, WriteResult
from chaja.v1 import Upsert as UpsertMessage
from server.attributes.filter import Scalar
from server.catalogue.changes import Change, Delete, Outcome, Stored, Upsert
from server.catalogue.document import LARGEST_EXACT_INTEGER, MAX_ELEMENTS, AttributeValue, Document, Localized, excess
from server.catalogue.languages import canonical_language
from server.errors import InvalidRequest, UnfitPart, Violation
from server.rpc.errors import refusal_of
from server.rpc.limits import MAX_NAME_CHARACTERS, Limits, name_violations, raise_any
from server.rpc.masks import Mask

PATH_OF = {"title": "titles[{}].text", "text": "texts[{}].text", "example": "examples[{}]"}
"""The path of a part in the message of its document, by its kind."""


def to_upsert(message: UpsertMessage, *, field: str, limits: Limits) -> Upsert:
    """Returns the write that a message asks for; raises InvalidRequest, which names each wrong field."""
    reading = _Reading()
    document = reading.document(message.document, f"{field}.document", limits)
    expected = reading.expected_version(message, field)
    raise_any(reading.violations)
    return Upsert(document, expected)


def to_delete(message: DeleteMessage, *, field: str) -> Delete:
    """Returns the deletion that a message asks for; raises InvalidRequest, which names each wrong field."""
    reading = _Reading()
    reading.violations += name_violations(f"{field}.id", message.id)
    delete = Delete(message.id, reading.expected_version(message, field))
    raise_any(reading.violations)
    return delete


def to_message(stored: Stored, mask: Mask) -> DocumentMessage:
    """Returns the message of a document that was read with the mask's fields."""
    document = stored.document
    message = DocumentMessage(
        id=document.id,
        titles=[LocalizedText(language_code=language, text=text) for language, text in document.titles().items()],
        texts=[LocalizedText(language_code=language, text=text) for language, text in document.texts().items()],
        examples=document.examples,
        version=stored.version if "version" in mask.names else 0,
    )
    message.attributes.update(document.attributes)
    return message


def to_change(change: Change, mask: Mask) -> ChangeMessage:
    """Returns the message of a change."""
    if change.document is None:
        return ChangeMessage(sequence=change.sequence, deleted_id=change.id)
    stored = Stored(change.document, change.sequence)
    return ChangeMessage(sequence=change.sequence, document=to_message(stored, mask))


def to_result(outcome: Outcome, *, field: str) -> WriteResult:
    """Returns the message of a write's outcome; `field` is the document's path in the request."""
    result = WriteResult(id=outcome.id[:MAX_NAME_CHARACTERS], version=outcome.version, changed=outcome.changed)
    if (error := outcome.error) is not None:
        if isinstance(error, UnfitPart):
            error = InvalidRequest([Violation(f"{field}.{PATH_OF[error.kind].format(error.position)}", error.reason)])
        refusal = refusal_of(error, f"a write of {field}")
        result.error.MergeFrom(WriteError(code=refusal.code.value[0], message=refusal.message, reason=refusal.reason))
    return result


def _element_count(message: DocumentMessage) -> int:
    """Returns the count of `Document.element_count`, or a smaller one that is too large already."""
    count = len(message.titles) + len(message.texts) + len(message.examples) + len(message.attributes.fields)
    if count > MAX_ELEMENTS:
        return count
    lists = (each for each in message.attributes.fields.values() if each.WhichOneof("kind") == "list_value")
    return count + sum(len(each.list_value.values) - 1 for each in lists)


class _Reading:
    """Reads messages and collects their violations."""

    def __init__(self) -> None:
        self.violations: list[Violation] = []

    def expected_version(self, message: UpsertMessage | DeleteMessage, field: str) -> int | None:
        if not message.HasField("expected_version"):
            return None
        if message.expected_version < 0:
            self._refuse(f"{field}.expected_version", f"is {message.expected_version}; versions are 0 or more")
        return message.expected_version

    def document(self, message: DocumentMessage, field: str, limits: Limits) -> Document:
        self.violations += name_violations(f"{field}.id", message.id)
        if (problem := excess(_element_count(message))) is not None:  # Before its elements are read.
            raise InvalidRequest([Violation(field, problem)])
        document = Document(
            id=message.id,
            title=self._localized(message.titles, f"{field}.titles"),
            text=self._localized(message.texts, f"{field}.texts"),
            examples=[self._text(text, f"{field}.examples[{at}]") for at, text in enumerate(message.examples)],
            attributes=self._attributes(message.attributes, f"{field}.attributes"),
        )
        if not (message.titles or message.texts or message.examples):
            self._refuse(field, "has nothing to search: give it a title, a text or an example")
        if (characters := document.character_count()) > limits.max_document_characters:
            allowed = f"at most {limits.max_document_characters} are allowed: split it"
            self._refuse(field, f"has {characters} characters in all; {allowed}")
        elif (size := message.ByteSize()) > limits.max_document_bytes:
            allowed = f"at most {limits.max_document_bytes} are allowed, so that an answer can hold it: split it"
            self._refuse(field, f"has {size} bytes as a message; {allowed}")
        return document

    def _localized(self, messages: Iterable[LocalizedText], field: str) -> Localized:
        """Returns texts by language, in their order; a single text without a language is returned as a string."""
        by_language: dict[str, str] = {}
        canonical: set[str] = set()
        for position, message in enumerate(messages):
            text = self._text(message.text, f"{field}[{position}].text")
            language = canonical_language(message.language_code)
            if language in canonical:
                description = f"is {language!r} twice: send one text for each language"
                self._refuse(f"{field}[{position}].language_code", description)
            canonical.add(language)
            by_language[message.language_code] = text
        return by_language[""] if by_language.keys() == {""} else by_language

    def _text(self, text: str, field: str) -> str:
        if not text or text.isspace():
            self._refuse(field, "is blank: fill it or leave it out")
        return text

    def _attributes(self, message: Struct, field: str) -> dict[str, AttributeValue]:
        """Returns attributes in the order of their names, because a Struct has no order."""
        attributes: dict[str, AttributeValue] = {}
        for name in sorted(message.fields):
            value, at = message.fields[name], f"{field}.{name[:MAX_NAME_CHARACTERS]}"
            if value.WhichOneof("kind") == "list_value":
                attributes[name] = [
                    self._scalar(each, f"{at}[{position}]") for position, each in enumerate(value.list_value.values)
                ]
            else:
                attributes[name] = self._scalar(value, at)
        return attributes

    def _scalar(self, value: Value, field: str) -> Scalar:
        kind = value.WhichOneof("kind")
        if kind == "string_value":
            return value.string_value
        if kind == "bool_value":
            return value.bool_value
        if kind != "number_value":
            self._refuse(field, "must be a string, a number, a boolean, or (not within a list) a list of them")
            return ""
        number = value.number_value
        if not math.isfinite(number):
            self._refuse(field, f"is {number}; numbers must be finite")
        elif number.is_integer() and abs(number) <= LARGEST_EXACT_INTEGER:
            return int(number)  # JSON in the catalogue file gives an int, too.
        return number

    def _refuse(self, field: str, description: str) -> None:
        self.violations.append(Violation(field, description))
