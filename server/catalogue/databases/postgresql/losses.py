"""Changes that the log has lost, as the servers that had seen them have found.

The first of these servers records the loss in the database. So no server uses the log, also one that starts later and
has seen nothing of it, until an operator continues without the lost changes.
"""

from server.catalogue.databases.connection import query_value
from server.catalogue.databases.postgresql.connection import SCHEMA, PostgresqlConnection
from server.catalogue.databases.postgresql.failures import translated
from server.catalogue.databases.postgresql.head import NOW
from server.catalogue.databases.postgresql.migrating import check_version
from server.catalogue.location import DatabaseUrl


def record_loss(url: DatabaseUrl, sequence: int) -> None:
    """Records that the log has lost a change, unless a loss of the same failover is recorded. Raises StoreError."""
    with translated(url.name):
        connection = _opened(url)
        try:
            connection.execute(
                f"INSERT INTO lost_changes (origin, sequence, found_seconds) SELECT origin, ?, {NOW} FROM log "  # noqa: S608
                "ON CONFLICT (origin) DO NOTHING",
                (sequence,),
            )
        finally:
            connection.close()


def accept_losses(url: DatabaseUrl) -> int | None:
    """Lets servers use the log without the changes that it has lost.

    Returns the last sequence that the log still has, or None if no loss is recorded. Raises StoreError.
    """
    with translated(url.name):
        connection = _opened(url)
        try:
            accepted = connection.execute(
                f"UPDATE lost_changes SET accepted_seconds = {NOW} WHERE accepted_seconds IS NULL"  # noqa: S608
            ).rowcount
            return int(query_value(connection, "SELECT sequence FROM log")) if accepted else None
        finally:
            connection.close()


def _opened(url: DatabaseUrl) -> PostgresqlConnection:
    connection = PostgresqlConnection(url)
    try:
        check_version(connection, url)
        connection.script(f"SET search_path = {SCHEMA}")
    except BaseException:
        connection.close()
        raise
    return connection
