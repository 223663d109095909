"""Checksums of rows: SQLite does not detect a changed byte within a value."""

import sqlite3
import zlib


def checksum_of(*values: bytes) -> int:
    """Returns the CRC-32 of the concatenated values."""
    return zlib.crc32(b"".join(values))


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
    return None


def wrong_checksum(sequence: int) -> str:
    """Returns the description of a damaged version."""
    return f"the checksum of version {sequence} is wrong"
