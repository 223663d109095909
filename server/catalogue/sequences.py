"""The sequences of a store's changes, which never repeat, even if the database is replaced by an older copy.

The changes after a copy are numbered far above all that the copied database can have given out since: from the seconds
since 1970 times 2^20, plus a random number. The store records the gap. A client that has seen a sequence within a gap
has seen changes that this store does not have.

    backup at change 7 ── 8, 9 … 40 are acknowledged, then lost by the restore
    restored:  … 6, 7 ── gap 8–1861152000123456 ── 1861152000123457, 1861152000123458 …

Sequences stay below 2^53 until the year 2242, so that doubles represent them exactly.
"""

import secrets
from collections.abc import Iterable
from typing import NamedTuple

from server.catalogue.databases.connection import Connection, query_value, rows_among

RATE_BITS = 20
"""Changes per second, as a power of two, that no store exceeds on average since 1970."""

USED = "used_sequence"
"""The fact that `restore` leaves in a database: the last sequence that the replaced database is known to have used."""


class Gap(NamedTuple):
    """Sequences that the store does not use, first and last included, because another copy of it may have."""

    first: int
    last: int


def live_sequences_of(connection: Connection, ids: Iterable[str]) -> dict[str, int]:
    """Returns the sequences of the existing documents among `ids`, by id."""
    query = "SELECT id, sequence FROM documents WHERE retired_seconds IS NULL AND id IN"
    return dict(rows_among(connection, query, ids))


def gap_after(sequence: int, connection: Connection, *, now_seconds: float) -> Gap:
    """Returns the gap between the last change of a copied database and its next one, at a Unix time."""
    begin = max(sequence, _used(connection), int(now_seconds) << RATE_BITS)
    return Gap(sequence + 1, begin + secrets.randbelow(1 << RATE_BITS))


def record_used(connection: Connection, sequence: int) -> None:
    """Stores a sequence that must not be used again, nor any before it."""
    connection.execute(
        "INSERT INTO facts (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (USED, str(max(sequence, _used(connection)))),
    )


def _used(connection: Connection) -> int:
    return int(query_value(connection, "SELECT value FROM facts WHERE name = ?", (USED,)) or 0)


def gap_around(connection: Connection, sequence: int) -> Gap | None:
    """Returns the recorded gap in which a sequence lies; None if there is none."""
    row = connection.execute("SELECT first, last FROM gaps WHERE ? BETWEEN first AND last", (sequence,)).fetchone()
    return None if row is None else Gap(*row)
