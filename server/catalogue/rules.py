"""The rules of a catalogue: what people manage beside its documents, such as synonyms.

A rule is a content under an id, which is unique among rules of its kind. The store does not look into contents. Each
change of a rule has a sequence, as one of a document; the version of a rule is the sequence of its last write.
"""

import enum
from typing import NamedTuple

from server.catalogue.checksums import rule_checksum
from server.catalogue.databases.connection import Connection, limit_of


class RuleKind(enum.StrEnum):
    """The kinds of rules. The store has these values: never change them."""

    SYNONYM = "synonym"
    MERCHANDISING = "merchandising"


class StoredRule(NamedTuple):
    """A rule in the store."""

    id: str
    version: int
    content: bytes


class PutRule(NamedTuple):
    """Writes a rule if it has the expected version. 0 means that it must not exist, None allows any version."""

    kind: RuleKind
    id: str
    content: bytes
    expected_version: int | None = None


class DeleteRule(NamedTuple):
    """Deletes a rule if it has the expected version. None allows any version and a rule that does not exist."""

    kind: RuleKind
    id: str
    expected_version: int | None = None


def read_rules(
    connection: Connection, kind: RuleKind, *, after_id: str = "", limit: int = -1
) -> list[tuple[StoredRule, bool]]:
    """Returns rules of a kind after an id, ordered by id, each with whether its checksum is right.

    A negative `limit` means all.
    """
    rows = connection.execute(
        "SELECT id, sequence, content, checksum FROM rules "
        "WHERE kind = ? AND id > ? AND content IS NOT NULL ORDER BY id LIMIT ?",
        (kind, after_id, limit_of(limit)),
    )
    return [
        (StoredRule(id, sequence, content), rule_checksum(kind, id, content) == checksum)
        for id, sequence, content, checksum in rows
    ]
