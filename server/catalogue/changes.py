"""What is asked of the catalogue's store, and what it tells: writes, their outcomes, and the log of changes.

A change has a sequence, which grows with every change of the store; that of a document's last write is its version.
"""

from dataclasses import dataclass

from server.catalogue.document import Document
from server.errors import ChajaError


@dataclass(frozen=True)
class Upsert:
    """Writes a document, where it has the version that is expected: 0 means that it must not exist, None any."""

    document: Document
    expected_version: int | None = None


@dataclass(frozen=True)
class Delete:
    """Deletes a document, where it has the version that is expected; None means any, or that it need not exist."""

    id: str
    expected_version: int | None = None


@dataclass(frozen=True)
class Outcome:
    """The result of one write."""

    id: str
    version: int
    """The document's by now; the sequence of its deletion; with a `Conflict` the one that it has; 0 for none."""

    changed: bool
    error: ChajaError | None = None


@dataclass(frozen=True)
class Stored:
    """A document as the store has it."""

    document: Document
    version: int


@dataclass(frozen=True)
class Change:
    """A change of the log: the document that was written with this sequence, or None for a deletion."""

    sequence: int
    id: str
    document: Document | None
