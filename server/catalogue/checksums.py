"""Checksums of rows: SQLite does not detect a changed byte within a value."""

import sqlite3
import zlib

from server.catalogue.schema import has_feedback, has_rules

WRONG_FEEDBACK = "the checksum of a row of feedback is wrong"


def checksum_of(*values: bytes) -> int:
    """Returns the CRC-32 of the concatenated values."""
    return zlib.crc32(b"".join(values))


def rule_checksum(kind: str, id: str, content: bytes) -> int:
    """Returns the checksum of a rule."""
    return checksum_of(f"{kind}\n{id}\n".encode(), content)


def row_checksum(*values: object) -> int:
    """Returns the checksum of a row of feedback."""
    return checksum_of(repr(values).encode())


def find_damage(connection: sqlite3.Connection) -> str | None:
    """Reads every page and row of a database; returns the first damage, or None. Raises sqlite3.Error."""
    if (found := connection.execute("PRAGMA integrity_check(1)").fetchone()[0]) != "ok":
        return str(found)
    for sequence, id, content, checksum in connection.execute("SELECT sequence, id, content, checksum FROM documents"):
        if checksum_of(id.encode(), content) != checksum:
            return wrong_checksum(sequence)
    for sequence, spans, matrix, of_spans, of_matrix in connection.execute(
        "SELECT sequence, spans, matrix, spans_checksum, matrix_checksum FROM vectors"
    ):
        if (checksum_of(spans), checksum_of(matrix)) != (of_spans, of_matrix):
            return wrong_checksum(sequence)
    if has_rules(connection) and (found := _damaged_rule(connection)) is not None:
        return found
    return _damaged_feedback(connection) if has_feedback(connection) else None


def _damaged_rule(connection: sqlite3.Connection) -> str | None:
    for sequence, kind, id, content, checksum in connection.execute(
        "SELECT sequence, kind, id, content, checksum FROM rules WHERE content IS NOT NULL"
    ):
        if rule_checksum(kind, id, content) != checksum:
            return wrong_checksum(sequence)
    return None


def _damaged_feedback(connection: sqlite3.Connection) -> str | None:
    for query in (
        "SELECT checksum, event, seconds, user, query, document, kind, rank FROM feedback",
        "SELECT checksum, document, example, seconds, users FROM promotions",
    ):
        if any(row_checksum(*row[1:]) != row[0] for row in connection.execute(query)):
            return WRONG_FEEDBACK
    return None


def wrong_checksum(sequence: int) -> str:
    """Returns the description of a damaged version."""
    return f"the checksum of version {sequence} is wrong"
