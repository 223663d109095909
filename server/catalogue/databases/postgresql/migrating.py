"""The migrations of a database: the numbered files of SQL in `migrations`, which the command `migrate` applies.

Never change the file of a released migration: append another one.
"""

import uuid
from pathlib import Path

from server.catalogue.databases.connection import query_value
from server.catalogue.databases.postgresql.connection import SCHEMA, PostgresqlConnection
from server.catalogue.databases.postgresql.failures import translated
from server.catalogue.location import DatabaseUrl
from server.errors import StoreUnavailable
from server.programs import SERVER

FILES = sorted((Path(__file__).parent / "migrations").glob("*.sql"))

VERSION = len(FILES)
"""The version of the schema that this program needs."""

LOCK = 0x43484A41
"""Key of the advisory lock that a migration holds."""


def migrate(url: DatabaseUrl) -> tuple[int, int]:
    """Applies the missing migrations, all or none; returns the versions before and after. Raises StoreError.

    Only one program migrates at a time; the next one then finds nothing to do.
    """
    with translated(url.name):
        connection = PostgresqlConnection(url)
        try:
            return _migrate(connection, url)
        finally:
            connection.close()


def _migrate(connection: PostgresqlConnection, url: DatabaseUrl) -> tuple[int, int]:
    connection.script(f"BEGIN; SELECT pg_advisory_xact_lock({LOCK})")
    before = schema_version(connection)
    if before > VERSION:
        raise newer(url, before)
    # IF NOT EXISTS would need the right to make schemas even if there is one.
    if query_value(connection, f"SELECT to_regnamespace('{SCHEMA}')::text") is None:
        connection.script(f"CREATE SCHEMA {SCHEMA}")
    connection.script(f"SET LOCAL search_path = {SCHEMA}")
    if not before:
        connection.script(
            "CREATE TABLE migrations (version BIGINT PRIMARY KEY, applied TIMESTAMPTZ NOT NULL DEFAULT now())"
        )
    for number, file in enumerate(FILES[before:], start=before + 1):
        connection.script(file.read_text(encoding="utf-8"))
        connection.execute("INSERT INTO migrations (version) VALUES (?)", (number,))
    connection.execute(
        "INSERT INTO log (id, sequence, origin) SELECT ?, 0, '' WHERE NOT EXISTS (SELECT 1 FROM log)",
        (uuid.uuid4().hex,),
    )
    connection.script("COMMIT")
    return before, VERSION


def schema_version(connection: PostgresqlConnection) -> int:
    """Returns the number of migrations applied to a database, 0 if it has no tables of Chaja."""
    if query_value(connection, f"SELECT to_regclass('{SCHEMA}.migrations')::text") is None:
        return 0
    return int(query_value(connection, f"SELECT coalesce(max(version), 0) FROM {SCHEMA}.migrations"))  # noqa: S608


def check_version(connection: PostgresqlConnection, url: DatabaseUrl) -> None:
    """Raises StoreUnavailable if the schema is not of this version, also if it is migrated while a server runs."""
    version = schema_version(connection)
    if version > VERSION:
        raise newer(url, version)
    if version < VERSION:
        state = f"has schema {version}; this program needs {VERSION}" if version else "has no tables of Chaja yet"
        raise StoreUnavailable(f"{url} {state}: run {SERVER} migrate --data with its URL")


def newer(url: DatabaseUrl, version: int) -> StoreUnavailable:
    """Returns the error of a database whose schema is newer than this program."""
    return StoreUnavailable(
        f"{url} was migrated by a newer version of Chaja (schema {version}; this one knows {VERSION}): run that version"
    )
