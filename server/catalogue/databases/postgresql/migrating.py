"""The migrations of a database: the numbered files of SQL in `migrations`, which the command `migrate` applies.

Never change the file of a released migration: append another one. Servers of an older schema may go on with a newer one
if the file says so in a line, as for a new table, or a new column with a default:

    -- Servers that need schema 4 can use this one.

So servers are replaced one by one after a migration. Statements name their columns, since more may appear.
"""

import re
import time
import uuid
from pathlib import Path

import psycopg

from server.catalogue.databases.connection import query_value
from server.catalogue.databases.postgresql.connection import SCHEMA, PostgresqlConnection
from server.catalogue.databases.postgresql.failures import translated
from server.catalogue.location import DatabaseUrl
from server.errors import StoreError, StoreUnavailable
from server.programs import SERVER

FILES = sorted((Path(__file__).parent / "migrations").glob("*.sql"))

VERSION = len(FILES)
"""The version of the schema that this program needs."""

LOCK = 0x43484A41
"""Key of the advisory lock that a migration holds."""

LOCK_SECONDS = 2.0
"""Time for which a migration waits for a lock. The statements of servers queue up after it meanwhile."""

PAUSE_SECONDS = 1.0
"""Time between two attempts, for the statements of servers."""

MOST_SECONDS = 60.0
"""Time after which a migration that does not get its locks fails."""

_USABLE = re.compile(r"^-- Servers that need schema (\d+) can use this one\.$", re.MULTILINE)

OLDEST = "oldest_schema"
"""The fact that names the oldest schema whose servers can use the present one."""


def migrate(url: DatabaseUrl) -> tuple[int, int]:
    """Applies the missing migrations, all or none; returns the versions before and after. Raises StoreError.

    Only one program migrates at a time; the next one then finds nothing to do. A newer schema stays if servers of this
    version can use it. Servers may run meanwhile.
    """
    until = time.monotonic() + MOST_SECONDS
    with translated(url.name):
        connection = PostgresqlConnection(url)
        try:
            while True:
                try:
                    return _migrate(connection, url)
                except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
                    connection.script("ROLLBACK")
                if time.monotonic() >= until:
                    raise StoreUnavailable(
                        f"{url} is in use by a long transaction, such as a dump or another migration: try again later"
                    )
                time.sleep(PAUSE_SECONDS)
        finally:
            connection.close()


def _migrate(connection: PostgresqlConnection, url: DatabaseUrl) -> tuple[int, int]:
    connection.script(f"BEGIN; SET LOCAL lock_timeout = '{LOCK_SECONDS}s'; SELECT pg_advisory_xact_lock({LOCK})")
    before = schema_version(connection)
    if before > VERSION:
        _check_usable(connection, url, before)
        return before, before
    # IF NOT EXISTS would need the right to make schemas even if there is one.
    if query_value(connection, f"SELECT to_regnamespace('{SCHEMA}')::text") is None:
        connection.script(f"CREATE SCHEMA {SCHEMA}")
    if not before:
        if (encoding := query_value(connection, "SHOW server_encoding")) != "UTF8":
            raise StoreError(f"{url} has the encoding {encoding}: make a database with the encoding UTF8")
        connection.script(
            "CREATE TABLE migrations (version BIGINT PRIMARY KEY, applied TIMESTAMPTZ NOT NULL DEFAULT now())"
        )
    for number, file in enumerate(FILES[before:], start=before + 1):
        connection.script(file.read_text(encoding="utf-8"))
        connection.execute("INSERT INTO migrations (version) VALUES (?)", (number,))
    connection.execute(
        "INSERT INTO facts (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (OLDEST, str(max(_oldest_of(number, file) for number, file in enumerate(FILES, start=1)))),
    )
    connection.execute(
        "INSERT INTO log (id, sequence, origin) SELECT ?, 0, '' WHERE NOT EXISTS (SELECT 1 FROM log)",
        (uuid.uuid4().hex,),
    )
    connection.script("COMMIT")
    return before, VERSION


def _oldest_of(number: int, file: Path) -> int:
    """Returns the oldest schema whose servers can use what a migration makes."""
    usable = _USABLE.search(file.read_text(encoding="utf-8"))
    return number if usable is None else int(usable[1])


def schema_version(connection: PostgresqlConnection) -> int:
    """Returns the number of migrations applied to a database, 0 if it has no tables of Chaja."""
    if query_value(connection, f"SELECT to_regclass('{SCHEMA}.migrations')::text") is None:
        return 0
    return int(query_value(connection, f"SELECT coalesce(max(version), 0) FROM {SCHEMA}.migrations"))  # noqa: S608


def check_version(connection: PostgresqlConnection, url: DatabaseUrl) -> None:
    """Raises StoreUnavailable if this version cannot use the schema, also if it is migrated while a server runs."""
    version = schema_version(connection)
    if version > VERSION:
        _check_usable(connection, url, version)
    if version < VERSION:
        state = f"has schema {version}; this program needs {VERSION}" if version else "has no tables of Chaja yet"
        raise StoreUnavailable(f"{url} {state}: run {SERVER} migrate --data with its URL")


def _check_usable(connection: PostgresqlConnection, url: DatabaseUrl, version: int) -> None:
    """Raises StoreUnavailable if this version cannot use a newer schema."""
    oldest = query_value(connection, f"SELECT value FROM {SCHEMA}.facts WHERE name = ?", (OLDEST,))  # noqa: S608
    if oldest is None or int(oldest) > VERSION:
        raise StoreUnavailable(
            f"{url} was migrated by a newer version of Chaja (schema {version}; this one knows {VERSION}): run that "
            "version"
        )
