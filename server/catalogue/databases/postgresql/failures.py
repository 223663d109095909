"""Translates PostgreSQL's errors into those of `server.errors`.

Codes: https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

import contextlib
from collections.abc import Iterator

import psycopg

from server.errors import ChajaError, DatabaseDamaged, StoreError, StoreFull, StoreUnavailable, first_line

FULL = "the disk of {name} is full or fails ({reason}); nothing was written"
DAMAGED = "{name} is damaged ({reason}): restore it with PostgreSQL's tools"
ALTERED = "the tables of {name} have been altered ({reason}): restore them"

ROWS: dict[str, tuple[type[ChajaError], str]] = {
    "53100": (StoreFull, FULL),  # disk_full
    "58030": (StoreFull, FULL),  # io_error
    "25006": (StoreUnavailable, "{name} is read-only ({reason}): name the primary in --data, or wait for its return"),
    "25P03": (StoreUnavailable, "{name} has ended a transaction that paused too long ({reason}); try again"),
    "XX001": (DatabaseDamaged, DAMAGED),  # data_corrupted
    "XX002": (DatabaseDamaged, DAMAGED),  # index_corrupted
    "42P01": (DatabaseDamaged, ALTERED),  # undefined_table
    "42703": (DatabaseDamaged, ALTERED),  # undefined_column
    "42P10": (DatabaseDamaged, ALTERED),  # no unique index for ON CONFLICT
    "3F000": (DatabaseDamaged, ALTERED),  # no schema
    "42P07": (StoreError, "{name} has tables of another program ({reason}): remove them, or name another database"),
    "42501": (StoreUnavailable, "{name} refuses access ({reason}): grant it to the user in --data"),
}
"""The error of a code, and its message."""

UNAVAILABLE_CLASSES = ("08", "40", "53", "55", "57")
"""Classes of codes: connection, rollback, resources, a lock that is held, intervention of an operator."""


@contextlib.contextmanager
def translated(name: str) -> Iterator[None]:
    """Translates the errors of a context. `name` is the database's name in messages."""
    try:
        yield
    except psycopg.Error as error:
        found = _translation(error, name)
        if found is None:
            raise
        raise found from None


def _translation(error: psycopg.Error, name: str) -> ChajaError | None:
    code, reason = error.sqlstate or "", first_line(error)
    if row := ROWS.get(code):
        kind, text = row
        return kind(text.format(name=name, reason=reason))
    if code[:2] in UNAVAILABLE_CLASSES or (not code and isinstance(error, psycopg.OperationalError)):
        return StoreUnavailable(f"{name} does not answer ({reason}); try again")
    return None
