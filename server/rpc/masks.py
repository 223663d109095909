"""Read masks: the fields of a hit or a document that a caller asks for (AIP-157)."""

from collections.abc import Mapping
from typing import NamedTuple

from google.protobuf.field_mask_pb2 import FieldMask

from chaja.v1 import Document, Hit
from server.catalogue.partial import Fields
from server.composition import composed
from server.errors import InvalidRequest, Violation

EVERYTHING = "*"
ATTRIBUTE = "attributes."
"""Beginning of the path of one attribute. The rest is its name, which may have dots."""

MAX_PATHS = 256

SHOWN_CHARACTERS = 100
"""Characters of an unknown path that the error repeats."""


class Mask(NamedTuple):
    """The wanted fields of a message, and the stored fields that they need; None stands for all stored fields."""

    names: frozenset[str]
    stored: Fields | None


class Maskable(NamedTuple):
    """A kind of message that can be read in part.

    `needs` has the stored fields that each of its fields is made from. `always` are fields that are always returned.
    """

    name: str
    everything: Mask
    needs: Mapping[str, frozenset[str]]
    always: frozenset[str]

    def mask(self, message: FieldMask, *, field: str) -> Mask:
        """Returns the mask in a request's `field`; raises InvalidRequest if it has an unknown path."""
        paths = message.paths
        if not paths:
            return self.everything
        if len(paths) > MAX_PATHS:
            raise InvalidRequest([Violation(field, f"has {len(paths)} paths; at most {MAX_PATHS} are allowed")])
        names, attributes = set(self.always), set()
        for path in paths:
            if path.startswith(ATTRIBUTE) and path != ATTRIBUTE:
                attributes.add(composed(path.removeprefix(ATTRIBUTE)))
            elif path in self.everything.names:
                names.add(path)
            elif path != EVERYTHING:
                raise InvalidRequest([Violation(field, self._unknown(path))])
        if EVERYTHING in paths:
            return self.everything
        every_attribute = "attributes" in names
        if attributes:
            names.add("attributes")
        needed = frozenset().union(*(self.needs.get(name, frozenset()) for name in names))
        return Mask(frozenset(names), Fields(needed, None if every_attribute else frozenset(attributes)))

    def _unknown(self, path: str) -> str:
        shown = path if len(path) <= SHOWN_CHARACTERS else f"{path[:SHOWN_CHARACTERS]}…"
        known = ", ".join(sorted(self.everything.names))
        return (
            f"has the unknown path {shown!r}; {self.name} has the fields {known}, and {ATTRIBUTE}NAME for one attribute"
        )


def _named(message: type[Hit] | type[Document]) -> Mask:
    return Mask(frozenset(field.name for field in message.DESCRIPTOR.fields), None)


HITS = Maskable(
    "a hit",
    _named(Hit),
    {
        "title": frozenset(["title"]),
        "match": frozenset(["title", "text", "examples"]),
        "highlights": frozenset(["title", "text", "examples"]),
        "attributes": frozenset(["attributes"]),
    },
    always=frozenset(["document_id", "score"]),
)

DOCUMENTS = Maskable(
    "a document",
    _named(Document),
    {
        "titles": frozenset(["title"]),
        "texts": frozenset(["text"]),
        "examples": frozenset(["examples"]),
        "attributes": frozenset(["attributes"]),
    },
    always=frozenset(["id"]),
)
