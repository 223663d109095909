"""Listens for the changes that other servers announce (LISTEN and NOTIFY).

An announcement is only a hint: one may be lost with a connection, and a pooler in front of PostgreSQL may pass none on.
"""

from collections.abc import Callable

from server.catalogue.databases.postgresql.connection import PostgresqlConnection

CHANNEL = "chaja_log"
"""The channel of a database on which each commit announces the sequence of its last change."""


class Listener:
    """A connection that listens. One thread uses it."""

    def __init__(self, connect: Callable[[], PostgresqlConnection]) -> None:
        """Connects when it is used."""
        self._connect = connect
        self._connection: PostgresqlConnection | None = None

    def wait(self, seconds: float) -> int:
        """Waits for an announcement, for `seconds` at most; returns the newest sequence, 0 if there was none.

        Raises psycopg.Error; the next call connects again.
        """
        if self._connection is None:
            connection = self._connect()
            try:
                connection.script(f"LISTEN {CHANNEL}")
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        try:
            return max(map(int, self._connection.announced(seconds)), default=0)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Closes the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
