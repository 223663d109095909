"""The connections of a process to PostgreSQL: idle ones are used again, and broken ones are replaced."""

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator

import psycopg

from server.catalogue.databases.postgresql.connection import PostgresqlConnection
from server.errors import StoreUnavailable

MAX_CONNECTIONS = 16
"""Connections that read at the same time. PostgreSQL allows 100 by default, those of other servers included."""

WAIT_SECONDS = 30.0
"""Time that a reader waits for a free connection."""


class Pool:
    """Connections to read with. Any thread may use it."""

    def __init__(self, connect: Callable[[], PostgresqlConnection]) -> None:
        self._connect = connect
        self._idle: deque[PostgresqlConnection] = deque()
        self._used: set[PostgresqlConnection] = set()
        self._free = threading.BoundedSemaphore(MAX_CONNECTIONS)
        self._closed = False

    @contextlib.contextmanager
    def connection(self) -> Iterator[PostgresqlConnection]:
        """Yields a connection. Raises psycopg.Error, or StoreUnavailable if none becomes free."""
        if not self._free.acquire(timeout=WAIT_SECONDS):
            raise StoreUnavailable("all connections to the database are busy; try again")
        try:
            connection = self._usable()
            self._used.add(connection)
            try:
                yield connection
            except BaseException:
                connection.close()  # It may have an open transaction, or no server.
                raise
            finally:
                self._used.remove(connection)
            if self._closed:
                connection.close()
            else:
                self._idle.append(connection)
        finally:
            self._free.release()

    def interrupt(self) -> None:
        """Ends the statements that are waited for; see `PostgresqlConnection.interrupt`."""
        for connection in self._used.copy():
            connection.interrupt()

    def close(self) -> None:
        """Closes the idle connections, and those in use when they are given back."""
        self._closed = True
        with contextlib.suppress(IndexError):
            while True:
                self._idle.pop().close()

    def _usable(self) -> PostgresqlConnection:
        with contextlib.suppress(IndexError):
            while True:
                if (connection := self._idle.pop()).is_usable:
                    return connection
                with contextlib.suppress(psycopg.Error):
                    connection.close()
        return self._connect()
