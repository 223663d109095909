"""Checksums of rows: a database does not detect every changed byte within a value."""

import zlib

from server.catalogue.databases.connection import Connection

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


def find_wrong_row(connection: Connection, *, has_rules: bool = True, has_feedback: bool = True) -> str | None:
    """Reads every row of a database that has these tables; returns the first damage, or None."""
    with connection.stream("SELECT sequence, id, content, checksum FROM documents") as rows:
        for sequence, id, content, checksum in rows:
            if checksum_of(id.encode(), content) != checksum:
                return wrong_checksum(sequence)
    with connection.stream("SELECT sequence, spans, matrix, spans_checksum, matrix_checksum FROM vectors") as rows:
        for sequence, spans, matrix, of_spans, of_matrix in rows:
            if (checksum_of(spans), checksum_of(matrix)) != (of_spans, of_matrix):
                return wrong_checksum(sequence)
    if has_rules and (found := _damaged_rule(connection)) is not None:
        return found
    return _damaged_feedback(connection) if has_feedback else None


def _damaged_rule(connection: Connection) -> str | None:
    query = "SELECT sequence, kind, id, content, checksum FROM rules WHERE content IS NOT NULL"
    with connection.stream(query) as rows:
        for sequence, kind, id, content, checksum in rows:
            if rule_checksum(kind, id, content) != checksum:
                return wrong_checksum(sequence)
    return None


def _damaged_feedback(connection: Connection) -> str | None:
    for query in (
        'SELECT checksum, event, seconds, "user", query, document, kind, rank FROM feedback',
        "SELECT checksum, document, example, seconds, users FROM promotions",
    ):
        with connection.stream(query) as rows:
            if any(row_checksum(*row[1:]) != row[0] for row in rows):
                return WRONG_FEEDBACK
    return None


def wrong_checksum(sequence: int) -> str:
    """Returns the description of a damaged version."""
    return f"the checksum of version {sequence} is wrong"
