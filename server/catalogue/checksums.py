"""Every row that holds something has a checksum of it: SQLite itself does not notice a byte that changed in a value."""

import sqlite3
import zlib


def checksum_of(*pieces: bytes) -> int:
    """Returns the CRC-32 of some bytes, one after the other."""
    checksum = 0
    for piece in pieces:
        checksum = zlib.crc32(piece, checksum)
    return checksum


def find_damage(connection: sqlite3.Connection) -> str | None:
    """Reads every page and every row of a database; returns what is not as it was written, if anything is.

    Raises:
        sqlite3.Error: It cannot even be read.
    """
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
    """Returns what is said of a version that is not as it was written."""
    return f"the checksum of version {sequence} is wrong"
