"""The store's database as a SQLite file, which one server writes."""

import contextlib
import threading
import time
import uuid
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from server.catalogue.acknowledged import UNKNOWN, identity_of, read_acknowledged, write_acknowledged
from server.catalogue.database import (
    DATABASE,
    bring_up_to_date,
    check,
    connect,
    damaged,
    last_sequence,
    translated,
)
from server.catalogue.databases.connection import query_value
from server.catalogue.databases.sqlite_connection import SqliteConnection
from server.catalogue.sequences import Gap, gap_after
from server.catalogue.transaction import Transaction
from server.errors import DatabaseDamaged


class SqliteDatabase:
    """The database of a directory. It implements `Database`.

    Attributes:
        sequence: Sequence of the last change.
    """

    is_shared = False

    def __init__(self, directory: Path, *, durable: bool = True, serving: bool = True) -> None:
        """Opens the database, or makes it. Unless it is `serving`, `acknowledged` is left as it is.

        Raises StoreError; if it is DatabaseDamaged, its message names the newest backup.
        """
        self.name = str(directory / DATABASE)
        self._directory = directory
        self._durable = durable
        self._connections: list[SqliteConnection] = []
        self._idle: deque[SqliteConnection] = deque()
        self._writing = threading.Lock()
        # Read before the database, since another process may write both, and before anything changes the database.
        acknowledged, identity = read_acknowledged(directory), identity_of(directory / DATABASE)
        self._serving = False
        self._gap: Gap | None = None
        try:
            self._writer = self._connect()
            with translated(directory):
                bring_up_to_date(self._writer, directory)
                self.id = self._identity()
                self.sequence = last_sequence(self._writer)
                if acknowledged.database not in (None, identity):  # It is a copy.
                    self._gap = gap_after(self.sequence, self._writer, now_seconds=time.time())
            if self.sequence < acknowledged.sequence:
                reason = f"it ends with change {self.sequence}, but change {acknowledged.sequence} was acknowledged"
                raise damaged(directory, reason)
        except BaseException:
            self.close()
            raise
        if serving:
            self._serving = True
            self._acknowledge()

    def close(self) -> None:
        """Closes the files. Do not read or write afterwards."""
        for connection in self._connections:
            connection.close()
        if self._serving:
            self._acknowledge()  # The last connection has changed the database.

    def interrupt(self) -> None:
        """Does nothing: a file answers."""

    def refresh(self) -> None:
        """Does nothing: there are no other servers."""

    def wait_for_change(self, seconds: float) -> int:
        """Waits: there are no other servers."""
        time.sleep(seconds)
        return 0

    @contextlib.contextmanager
    def alone(self, work: str) -> Iterator[bool]:
        """Yields True: the lock of the directory keeps other processes from it."""
        yield True

    def now_seconds(self) -> float:
        """Returns the Unix time."""
        return time.time()

    def size_bytes(self) -> int:
        """Returns the size of the file."""
        with self.reading() as connection:
            return int(query_value(connection, "PRAGMA page_count") * query_value(connection, "PRAGMA page_size"))

    def verify(self) -> None:
        """Reads the whole database; raises DatabaseDamaged if a page, a row or a table is not as it was written."""
        with self.reading() as connection:
            check(connection, self._directory)

    def damaged(self, reason: str) -> DatabaseDamaged:
        """Returns the error of a damaged database, which names the newest backup."""
        return damaged(self._directory, reason)

    @contextlib.contextmanager
    def reading(self) -> Iterator[SqliteConnection]:
        """Yields a connection to read with."""
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._connect()
        try:
            with translated(self._directory):
                yield connection
        except BaseException:
            # The error may hold a cursor, with which the next reader would see an old state.
            self._connections.remove(connection)
            connection.close()
            raise
        self._idle.append(connection)

    snapshot = reading
    """SQLite keeps the state of a query until its last row is read."""

    @contextlib.contextmanager
    def write(self) -> Iterator[Transaction]:
        """Begins a transaction; see `Database.write`. After StoreFull, none of its changes is kept."""
        with self._writing, translated(self._directory):
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                transaction = Transaction(self._writer, self.sequence, now_seconds=time.time(), gap=self._gap)
                yield transaction
                transaction.finish()
                self._writer.execute("COMMIT")
            except BaseException:
                # SQLite rolls some failures back automatically.
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise
            self.sequence = transaction.sequence
            if self._gap is not None and self.sequence > self._gap.last:
                self._gap = None
            self._acknowledge()

    maintenance = write
    """SQLite has one writer at a time."""

    def _connect(self) -> SqliteConnection:
        connection = connect(self._directory, durable=self._durable)
        self._connections.append(connection)
        return connection

    def _identity(self) -> str:
        id = query_value(self._writer, "SELECT value FROM facts WHERE name = 'id'")
        if id is None:
            id = uuid.uuid4().hex
            self._writer.execute("INSERT INTO facts VALUES ('id', ?)", (id,))
        return str(id)

    def _acknowledge(self) -> None:
        # Until the first change records the gap, the next start must detect the copy again.
        identity = UNKNOWN if self._gap is not None else identity_of(self._directory / DATABASE)
        write_acknowledged(self._directory, self.sequence, identity)
