"""The tables of the store, and how older ones become what they are now.

`PRAGMA user_version` counts the migrations that a database has been through. A migration is never changed once it was
released: another one is appended.
"""

import contextlib
import sqlite3
from collections.abc import Sequence
from typing import Any

APPLICATION_ID = 0x43484A41  # "CHJA": tells our databases from others'.

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

    -- One row for each version of a document. A version that was replaced stays for a minute, so that answers which
    -- have found it can still show it; only the live one has no retired_seconds.
    CREATE TABLE documents (
        sequence INTEGER PRIMARY KEY,
        id TEXT NOT NULL,
        retired_seconds REAL,
        checksum INTEGER NOT NULL,
        content BLOB NOT NULL
    );
    CREATE UNIQUE INDEX documents_live ON documents (id) WHERE retired_seconds IS NULL;
    CREATE INDEX documents_retired ON documents (retired_seconds) WHERE retired_seconds IS NOT NULL;

    CREATE TABLE deletions (sequence INTEGER PRIMARY KEY, id TEXT NOT NULL);
    CREATE INDEX deletions_id ON deletions (id);

    -- What a model has made of a document. The matrix is last: who reads the spans does not read its pages.
    CREATE TABLE revisions (number INTEGER PRIMARY KEY, revision TEXT NOT NULL UNIQUE);
    CREATE TABLE vectors (
        sequence INTEGER NOT NULL,
        revision INTEGER NOT NULL REFERENCES revisions (number),
        spans_checksum INTEGER NOT NULL,
        matrix_checksum INTEGER NOT NULL,
        spans BLOB NOT NULL,
        matrix BLOB NOT NULL,
        PRIMARY KEY (sequence, revision)
    );

    -- Calls that were answered, by the key of their caller: the same call again gets the same answer.
    CREATE TABLE requests (
        request_id TEXT PRIMARY KEY,
        seconds REAL NOT NULL,
        digest BLOB NOT NULL,
        outcomes BLOB NOT NULL
    );
    CREATE INDEX requests_seconds ON requests (seconds);

    CREATE TABLE import_positions (import_id TEXT PRIMARY KEY, position INTEGER NOT NULL, seconds REAL NOT NULL);

    -- What the catalogue's file said of each of its documents when it was imported last.
    CREATE TABLE file_documents (id TEXT PRIMARY KEY, digest BLOB NOT NULL) WITHOUT ROWID;
    """,
)


def migrate(connection: sqlite3.Connection) -> None:
    """Takes a database through the migrations that it lacks, all of them or none."""
    steps = "".join(MIGRATIONS[schema_version(connection) :])
    connection.executescript(
        f"BEGIN EXCLUSIVE; {steps}\nPRAGMA application_id = {APPLICATION_ID}; "
        f"PRAGMA user_version = {len(MIGRATIONS)}; COMMIT;"
    )


def query_value(connection: sqlite3.Connection, query: str, parameters: Sequence[object] = ()) -> Any:
    """Returns the first column of a query's first row; None if it has no row."""
    row = connection.execute(query, parameters).fetchone()
    return None if row is None else row[0]


def schema_version(connection: sqlite3.Connection) -> int:
    """Returns the number of migrations that a database has been through: 0 for an empty one."""
    return int(query_value(connection, "PRAGMA user_version"))


def is_ours(connection: sqlite3.Connection) -> bool:
    """Whether a database that is not empty is one of ours."""
    return bool(query_value(connection, "PRAGMA application_id") == APPLICATION_ID)


def has_our_tables(connection: sqlite3.Connection) -> bool:
    """Whether the tables and indexes of a database of this version are described as they were made."""
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as fresh:
        migrate(fresh)
        return _described(fresh) == _described(connection)


def _described(connection: sqlite3.Connection) -> set[tuple[str, ...]]:
    return set(
        connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_stat%'")
    )
