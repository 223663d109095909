"""Changes that the log has lost, as the servers that had seen them have found.

The first of these servers records the loss in the database. So no server uses the log, also one that starts later and
has seen nothing of it, until an operator continues without the lost changes.
"""

from server.catalogue.databases.postgresql.connection import PostgresqlConnection
from server.catalogue.databases.postgresql.failures import translated
from server.catalogue.databases.postgresql.head import NOW, commit, lock_head, skip_lost
from server.catalogue.databases.postgresql.migrating import check_version
from server.catalogue.location import DatabaseUrl


def record_loss(connection: PostgresqlConnection, sequence: int, *, first: int) -> None:
    """Records that the log has lost a change, unless a loss with the same first change is recorded."""
    connection.execute(
        f"INSERT INTO lost_changes (first, sequence, found_seconds) VALUES (?, ?, {NOW}) "  # noqa: S608
        "ON CONFLICT (first) DO NOTHING",
        (first, sequence),
    )


def accept_losses(url: DatabaseUrl) -> int | None:
    """Lets servers use the log without the changes that it has lost. The next change follows a gap.

    Returns the last sequence that the log still has, or None if no loss is recorded. Raises StoreError.
    """
    with translated(url.name):
        connection = PostgresqlConnection(url)
        try:
            check_version(connection, url)
            head = lock_head(connection)
            if head.lost is None:
                return None
            connection.execute(f"UPDATE lost_changes SET accepted_seconds = {NOW} WHERE accepted_seconds IS NULL")  # noqa: S608
            skip_lost(connection, head)
            commit(connection)
            return head.sequence
        finally:
            connection.close()
