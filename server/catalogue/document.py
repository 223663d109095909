"""A document: one entry of the catalogue.

    {"id": "card-lost", "title": {"ko": "카드 분실 신고", "en": "Report a lost card"},
     "text": "…", "examples": ["지갑을 두고 내렸어"], "attributes": {"category": "card"}}

`id` and one title, text or example are required. Title and text are a string, or an object from language code
(BCP 47) to string.
"""

import enum
from collections.abc import Iterable
from typing import Annotated

import msgspec

from server.catalogue.languages import best_language, canonical_language

AttributeValue = str | bool | int | float | list[str | bool | int | float]

Localized = str | dict[str, str]
"""A text, or one text for each language."""

LARGEST_EXACT_INTEGER = 2**53
"""Attributes are sent as doubles, which cannot represent all integers beyond this."""


MAX_ELEMENTS = 30_000
"""Maximum number of a document's titles, texts, examples and attribute values together."""


class Document(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One entry of the catalogue."""

    id: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    title: Localized = {}
    text: Localized = {}
    examples: list[str] = []
    attributes: dict[str, AttributeValue] = {}

    def titles(self) -> dict[str, str]:
        """Returns the titles by language code; a title without a language has the code ``""``."""
        return _by_language(self.title)

    def texts(self) -> dict[str, str]:
        """Returns the texts by language code; a text without a language has the code ``""``."""
        return _by_language(self.text)

    def title_in(self, language_code: str) -> str:
        """Returns the title in the language that fits best, or else the first title; ``""`` if there is none."""
        titles = self.titles()
        language = best_language(language_code, titles)
        return next(iter(titles.values()), "") if language is None else titles[language]

    def character_count(self) -> int:
        """Returns the number of characters that `--max-document-characters` bounds."""
        titles, texts = self.titles(), self.texts()
        strings = [self.id, *titles, *titles.values(), *texts, *texts.values(), *self.examples, *self.attributes]
        for value in self.attributes.values():
            strings += [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, str)]
        return sum(map(len, strings))

    def element_count(self) -> int:
        """Returns the number of titles, texts, examples and attribute values, which `MAX_ELEMENTS` bounds."""
        values = sum(len(value) if isinstance(value, list) else 1 for value in self.attributes.values())
        return len(self.titles()) + len(self.texts()) + len(self.examples) + values

    def problem(self) -> str | None:
        """Returns the first problem that decoding does not detect; None if the document is valid."""
        if not self.id.strip():
            return "id is blank"
        for name, by_language in (("title", self.titles()), ("text", self.texts())):
            if (twice := repeated_language(by_language)) is not None:
                return f"{name} has {twice[0]} and {twice[1]}, which are the same language: keep one of them"
        parts = parts_of(self)
        if not parts:
            return "there is nothing to search: give it a title, a text or an example"
        for part in parts:
            if not part.text.strip():
                language = f" in {part.language_code}" if part.language_code else ""
                number = f" {self.examples.index(part.text) + 1}" if part.field is Field.EXAMPLE else ""
                return f"{part.field.value}{number}{language} is blank: fill it or leave it out"
        for name, value in self.attributes.items():
            for each in value if isinstance(value, list) else [value]:
                if isinstance(each, int) and abs(each) > LARGEST_EXACT_INTEGER:
                    return f"attribute {name}: {each} is too large for a number: write it as a string"
        return None


def excess(element_count: int) -> str | None:
    """Returns the problem of a document with this many elements; None if they are not too many."""
    if element_count <= MAX_ELEMENTS:
        return None
    elements = f"{element_count} titles, texts, examples and attribute values"
    return f"has {elements}; at most {MAX_ELEMENTS} are allowed: split it"


def repeated_language(codes: Iterable[str]) -> tuple[str, str] | None:
    """Returns the first two codes that differ only in notation, such as `en-US` and `en_us`; None if there are none."""
    seen: dict[str, str] = {}
    for code in codes:
        if (before := seen.setdefault(canonical_language(code), code)) != code:
            return before, code
    return None


class Field(enum.Enum):
    """The kind of a document's part."""

    TITLE = "title"
    TEXT = "text"
    EXAMPLE = "example"


class Part(msgspec.Struct, frozen=True):
    """A title, a text or an example query. Each part has at least one vector."""

    field: Field
    language_code: str
    text: str


def parts_of(document: Document) -> list[Part]:
    """Returns the parts of a document in a fixed order."""
    return [
        *(Part(Field.TITLE, language, title) for language, title in document.titles().items()),
        *(Part(Field.TEXT, language, text) for language, text in document.texts().items()),
        *(Part(Field.EXAMPLE, "", example) for example in document.examples),
    ]


def content_of(document: Document) -> bytes:
    """Returns a document as canonical JSON: equal documents, and only these, have equal bytes.

    The order of languages is kept, since it decides the first title. The order of attributes and the notation of whole
    numbers are not.
    """
    attributes = {name: _plain(value) for name, value in sorted(document.attributes.items())}
    title, text = _briefly(document.title), _briefly(document.text)
    return msgspec.json.encode(msgspec.structs.replace(document, title=title, text=text, attributes=attributes))


def _briefly(value: Localized) -> Localized:
    return value[""] if isinstance(value, dict) and list(value) == [""] else value


def _plain(value: AttributeValue) -> AttributeValue:
    return [plain_scalar(each) for each in value] if isinstance(value, list) else plain_scalar(value)


def plain_scalar(value: str | bool | int | float) -> str | bool | int | float:
    """Returns a whole number as an int, and any other value as it is."""
    whole = isinstance(value, float) and value.is_integer() and abs(value) <= LARGEST_EXACT_INTEGER
    return int(value) if whole else value


def _by_language(value: Localized) -> dict[str, str]:
    return {"": value} if isinstance(value, str) else value
