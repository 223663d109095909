"""The tables of the store, and the migrations of older databases.

`PRAGMA user_version` is the number of migrations applied to a database. Never change the statements of a released
migration: append another one.
"""

import contextlib

import msgspec

from server.catalogue.databases.connection import query_value
from server.catalogue.databases.sqlite_connection import SqliteConnection, open_sqlite
from server.catalogue.document import Document, parts_of
from server.composition import composed

APPLICATION_ID = 0x43484A41  # "CHJA" marks Chaja's databases.

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

    -- One row for each version of a document. A replaced version stays for a minute, so that searches that have found
    -- it can still fetch it. Only the live version has no retired_seconds.
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

    -- The vectors of documents by model. The matrix is last, so that reading the spans does not read its pages.
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

    -- Answered calls by request_id: a repeated call gets the same answer.
    CREATE TABLE requests (
        request_id TEXT PRIMARY KEY,
        seconds REAL NOT NULL,
        digest BLOB NOT NULL,
        outcomes BLOB NOT NULL
    );
    CREATE INDEX requests_seconds ON requests (seconds);

    CREATE TABLE import_positions (import_id TEXT PRIMARY KEY, position INTEGER NOT NULL, seconds REAL NOT NULL);

    -- The digest of each document in the catalogue file when it was last imported.
    CREATE TABLE file_documents (id TEXT PRIMARY KEY, digest BLOB NOT NULL) WITHOUT ROWID;
    """,
    """
    -- Sequences that this store does not use, because another copy of it may have used them.
    CREATE TABLE gaps (first INTEGER PRIMARY KEY, last INTEGER NOT NULL);
    """,
    """
    -- Texts are composed (NFC) before they are encoded, and the titles before texts are chosen by BCP 47.
    DELETE FROM vectors WHERE sequence IN (SELECT sequence FROM documents WHERE is_encoded_otherwise(content));
    """,
    """
    -- Rules of all kinds, such as synonyms. A deleted rule stays without content, since its sequence was used.
    CREATE TABLE rules (
        kind TEXT NOT NULL,
        id TEXT NOT NULL,
        sequence INTEGER NOT NULL UNIQUE,
        checksum INTEGER NOT NULL,
        content BLOB,
        PRIMARY KEY (kind, id)
    );

    -- The digest of each rule in the file of its kind when it was last imported.
    CREATE TABLE file_rules (kind TEXT NOT NULL, id TEXT NOT NULL, digest BLOB NOT NULL, PRIMARY KEY (kind, id))
        WITHOUT ROWID;
    """,
    """
    -- What users did with the hits of searches. `event` is a hash of all that makes two reports the same event, `user`
    -- a keyed hash of the user.
    CREATE TABLE feedback (
        event BLOB NOT NULL UNIQUE,
        seconds INTEGER NOT NULL,
        user BLOB NOT NULL,
        query TEXT NOT NULL,
        document TEXT NOT NULL,
        kind INTEGER NOT NULL,
        rank INTEGER NOT NULL,
        checksum INTEGER NOT NULL
    );
    CREATE INDEX feedback_user ON feedback (user, seconds);
    CREATE INDEX feedback_seconds ON feedback (seconds);

    -- The example queries that learning from feedback has added to documents.
    CREATE TABLE promotions (
        document TEXT NOT NULL,
        example TEXT NOT NULL,
        seconds INTEGER NOT NULL,
        users INTEGER NOT NULL,
        checksum INTEGER NOT NULL,
        PRIMARY KEY (document, example)
    ) WITHOUT ROWID;
    """,
    """
    -- When a server has last used the vectors of a model. Those that none uses any more are deleted.
    ALTER TABLE revisions ADD COLUMN used_seconds REAL NOT NULL DEFAULT 0;
    UPDATE revisions SET used_seconds = unixepoch();
    """,
    """
    -- The call that has taken an import last. Only it advances the import.
    ALTER TABLE import_positions ADD COLUMN holder TEXT NOT NULL DEFAULT '';
    """,
)

RULES_VERSION = 4
FEEDBACK_VERSION = 5
"""The first versions of databases with rules and with feedback. A backup may be older."""


def migrate(connection: SqliteConnection) -> None:
    """Applies the missing migrations to a database, all of them or none."""
    connection.create_function("is_encoded_otherwise", 1, _is_encoded_otherwise, deterministic=True)
    steps = "".join(MIGRATIONS[schema_version(connection) :])
    connection.executescript(
        f"BEGIN EXCLUSIVE; {steps}\nPRAGMA application_id = {APPLICATION_ID}; "
        f"PRAGMA user_version = {len(MIGRATIONS)}; COMMIT;"
    )


def schema_version(connection: SqliteConnection) -> int:
    """Returns the number of migrations applied to a database, 0 if it is empty."""
    return int(query_value(connection, "PRAGMA user_version"))


def has_rules(connection: SqliteConnection) -> bool:
    """Returns whether a database has the tables of rules."""
    return schema_version(connection) >= RULES_VERSION


def has_feedback(connection: SqliteConnection) -> bool:
    """Returns whether a database has the tables of feedback."""
    return schema_version(connection) >= FEEDBACK_VERSION


def is_ours(connection: SqliteConnection) -> bool:
    """Returns whether a database that is not empty was made by Chaja."""
    return bool(query_value(connection, "PRAGMA application_id") == APPLICATION_ID)


def has_our_tables(connection: SqliteConnection) -> bool:
    """Returns whether a database of this version has exactly the tables and indexes of the migrations."""
    with contextlib.closing(open_sqlite(":memory:")) as fresh:
        migrate(fresh)
        return _described(fresh) == _described(connection)


def _described(connection: SqliteConnection) -> set[tuple[str, ...]]:
    return set(
        connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_stat%'")
    )


def _is_encoded_otherwise(content: bytes) -> bool:
    """Returns whether other texts are encoded for a document than before texts were composed."""
    try:
        document = msgspec.json.decode(content, type=Document)
    except (msgspec.DecodeError, UnicodeDecodeError):  # It is damaged, which `check` reports.
        return False
    titles = document.titles()
    first = next(iter(titles.values()), "")
    if any((titles.get(code) or first) != document.title_in(code) for code in document.texts()):
        return True
    return any(composed(part.text) != part.text for part in parts_of(document))
