"""Random documents, whose titles, texts and examples are unique."""

import json
import random

from google.protobuf import json_format

from chaja.v1 import Document, Filter, LocalizedText

LENGTHS = (0, 0, 0, 0, 20, 40, 40, 100, 100, 600)
"""Characters of a text; 0 for none."""


def words(rng: random.Random, characters: int) -> str:
    """Returns random syllables, in words of eight; no other text has them."""
    syllables = "".join(chr(rng.randrange(0xAC00, 0xD7A4)) for _ in range(characters))
    return " ".join(syllables[start : start + 8] for start in range(0, characters, 8))


def random_document(rng: random.Random, id: str, *, batch: str = "") -> Document:
    """Returns a document of random size."""
    length = rng.choice(LENGTHS)
    document = Document(
        id=id,
        titles=[LocalizedText(language_code="ko", text=words(rng, 10))],
        texts=[LocalizedText(language_code="ko", text=words(rng, length))] if length else [],
        examples=[words(rng, 12) for _ in range(rng.choice((0, 1, 3)))],
    )
    document.attributes.update({"batch": batch, "number": rng.randrange(1000), "tags": [batch, "all"]})
    return document


def line_of(document: Document) -> str:
    """Returns a document as a line of a catalogue file."""
    written = {
        "id": document.id,
        "title": {each.language_code: each.text for each in document.titles},
        "text": {each.language_code: each.text for each in document.texts},
        "examples": list(document.examples),
        "attributes": json_format.MessageToDict(document.attributes),
    }
    return json.dumps(written, ensure_ascii=False) + "\n"


def batch_filter(batch: str) -> Filter:
    """Returns a filter that only the documents of a batch match."""
    filter = Filter()
    filter.equals.attribute = "batch"
    filter.equals.value.string_value = batch
    return filter
