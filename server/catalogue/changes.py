"""The types of the store's interface: writes, their outcomes, and the log of changes.

Each change has a sequence, a number that grows with every change of the store. A document's version is the sequence of
its last write.
"""

from typing import NamedTuple

from server.catalogue.document import Document
from server.errors import ChajaError


class Upsert(NamedTuple):
    """Writes a document if it has the expected version. 0 means that it must not exist, None allows any version."""

    document: Document
    expected_version: int | None = None


class Delete(NamedTuple):
    """Deletes a document if it has the expected version. None allows any version and a document that does not exist."""

    id: str
    expected_version: int | None = None


class Outcome(NamedTuple):
    """The result of one write."""

    id: str
    version: int
    """The current version, also after a `Conflict`; for a deletion, its sequence; 0 if there is no document."""

    changed: bool
    error: ChajaError | None = None


class Stored(NamedTuple):
    """A stored document."""

    document: Document
    version: int


class Change(NamedTuple):
    """A change of the log: the document that was written with this sequence, or None for a deletion."""

    sequence: int
    id: str
    document: Document | None
