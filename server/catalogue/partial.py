"""Reads some fields of a stored document, and does not parse the others."""

from typing import Any, NamedTuple, get_type_hints

import msgspec

from server.catalogue.document import AttributeValue, Document
from server.composition import composed

_decode_whole = msgspec.json.Decoder(Document).decode


class Fields(NamedTuple):
    """The fields of a document that a reader wants: some of `title`, `text`, `examples` and `attributes`.

    `attributes` are the names of the wanted attributes, composed (NFC); None for all.
    """

    names: frozenset[str]
    attributes: frozenset[str] | None = None


class _Unparsed(msgspec.Struct):
    """A document whose fields are still JSON; those that it lacks are empty."""

    id: str
    title: msgspec.Raw = msgspec.Raw()
    text: msgspec.Raw = msgspec.Raw()
    examples: msgspec.Raw = msgspec.Raw()
    attributes: msgspec.Raw = msgspec.Raw()


_decode_unparsed = msgspec.json.Decoder(_Unparsed).decode
_decode_names = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_attribute = msgspec.json.Decoder(AttributeValue).decode
_decode_field = {name: msgspec.json.Decoder(kind).decode for name, kind in get_type_hints(Document).items()}


def read_document(content: bytes, fields: Fields | None = None) -> Document:
    """Returns the document in JSON; with `fields`, only these and the id."""
    if fields is None:
        return _decode_whole(content)
    unparsed = _decode_unparsed(content)
    values: dict[str, Any] = {}
    for name in fields.names:
        if not (raw := getattr(unparsed, name)):
            continue
        if name == "attributes" and fields.attributes is not None:
            named = _decode_names(raw)
            wanted = [each for each in named if composed(each) in fields.attributes]
            values[name] = {each: _decode_attribute(named[each]) for each in wanted}
        else:
            values[name] = _decode_field[name](raw)
    return Document(id=unparsed.id, **values)
