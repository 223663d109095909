"""The kinds of text that a model encodes, and the sides that they are on."""

import enum


class Side(enum.Enum):
    """The two sides that a retrieval model compares. A two-tower model has an encoder for each."""

    QUERY = "query"
    DOCUMENT = "document"


class TextKind(enum.Enum):
    """The kinds of text, each with a prefix of its own."""

    QUERY = "query"
    TITLE = "title"
    TEXT = "text"
    EXAMPLE = "example"

    @property
    def side(self) -> Side:
        """The side that a text of this kind is on: an example is a query, whoever wrote it."""
        return Side.QUERY if self in (TextKind.QUERY, TextKind.EXAMPLE) else Side.DOCUMENT
