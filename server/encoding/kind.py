"""The kinds of text that a model encodes, and the side of each."""

import enum


class Side(enum.Enum):
    """The two sides that a retrieval model compares. A two-tower model has an encoder for each side."""

    QUERY = "query"
    DOCUMENT = "document"


class TextKind(enum.StrEnum):
    """The kinds of text. Each has its prefix. Strings are hashed without a call of Python code."""

    QUERY = "query"
    TITLE = "title"
    TEXT = "text"
    EXAMPLE = "example"

    @property
    def side(self) -> Side:
        """The side of texts of this kind. Example queries are queries."""
        return Side.QUERY if self in (TextKind.QUERY, TextKind.EXAMPLE) else Side.DOCUMENT
