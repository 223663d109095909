"""The log of a store in PostgreSQL.

Each new connection checks the version of the tables, and that the log still has what this process and others have seen
of it. So nothing is read from a replica that was promoted without the last changes. When PostgreSQL is away, reads and
writes raise StoreUnavailable, and work again once it is back.
"""

import contextlib
import threading
import zlib
from collections.abc import Iterator

import psycopg

from server.catalogue.checksums import find_wrong_row
from server.catalogue.databases.connection import query_value
from server.catalogue.databases.postgresql.connection import PostgresqlConnection
from server.catalogue.databases.postgresql.failures import translated
from server.catalogue.databases.postgresql.head import (
    NOW,
    Head,
    commit,
    commit_at,
    first_lost,
    lock_head,
    read_head,
    record_origin,
)
from server.catalogue.databases.postgresql.listener import Listener
from server.catalogue.databases.postgresql.losses import record_loss
from server.catalogue.databases.postgresql.migrating import check_version
from server.catalogue.databases.postgresql.pool import Pool
from server.catalogue.location import DatabaseUrl
from server.catalogue.transaction import Transaction
from server.errors import ChangesLost, DatabaseDamaged, StoreError, StoreUnavailable
from server.programs import SERVER

SNAPSHOT_IDLE_SECONDS = 600
"""Time without a statement after which PostgreSQL ends a transaction that reads one state. No other server waits for
it, and its reader may encode many documents between two rows."""

PLANNED_ONCE = "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET jit = off"
"""Settings of the connection that writes. To plan its statements each time would take as long as to run them. All look
rows up by an index, which a plan from the time of empty tables must use, too; so their costs say nothing to JIT."""

WORK_LOCK = 0x43484A42
"""First key of the advisory locks of `alone`."""


class PostgresqlDatabase:
    """The database of a URL. It implements `Database`.

    Attributes:
        sequence: Sequence of the last change that this process has seen.
    """

    is_shared = True

    def __init__(self, url: DatabaseUrl, *, durable: bool = True) -> None:
        """Connects. Raises StoreError."""
        self.name = str(url)
        self._url = url
        self._durable = durable
        self._lost = ""
        self._is_recorded = True  # The loss, in the database.
        self._interrupted = False
        self.id = ""
        self.sequence = 0
        self._pool, self._listener = Pool(self._connect), Listener(self._connect)
        self._writing, self._seeing = threading.Lock(), threading.Lock()
        self._writer: PostgresqlConnection | None = None
        try:
            with translated(self.name), self._pool.connection() as connection:
                head = read_head(connection)
                self.id, self.sequence = head.id, head.sequence
                self._compare(connection, head, head.sequence)
        except BaseException:
            self.close()
            raise

    def interrupt(self) -> None:
        """Ends all waiting for PostgreSQL; see `Database.interrupt`."""
        self._interrupted = True
        self._pool.interrupt()
        if (writer := self._writer) is not None:
            writer.interrupt()

    def close(self) -> None:
        """Closes the connections, and ends all waiting for them. Do not read or write afterwards."""
        self.interrupt()
        self._pool.close()
        self._listener.close()
        if self._writer is not None:
            self._writer.close()

    def size_bytes(self) -> int:
        """Returns the size of the database, with all its schemas."""
        with self.reading() as connection:
            return int(query_value(connection, "SELECT pg_database_size(current_database())"))

    def verify(self) -> None:
        """Reads every row; raises DatabaseDamaged if one is not as it was written."""
        with self.snapshot() as connection:
            if (found := find_wrong_row(connection)) is not None:
                raise self.damaged(found)

    def damaged(self, reason: str) -> DatabaseDamaged:
        """Returns the error of a database that is damaged for a reason."""
        return DatabaseDamaged(f"{self.name} is damaged ({reason}); restore it with PostgreSQL's tools, as pg_restore")

    @contextlib.contextmanager
    def reading(self) -> Iterator[PostgresqlConnection]:
        """Yields a connection to read with."""
        with translated(self.name):
            self._check_lost()
            with self._pool.connection() as connection:
                yield connection

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[PostgresqlConnection]:
        """Yields a connection to read one state with."""
        with self.reading() as connection:
            connection.script(
                "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; "
                f"SET LOCAL idle_in_transaction_session_timeout = '{SNAPSHOT_IDLE_SECONDS}s'"
            )
            yield connection
            connection.script("COMMIT")

    @contextlib.contextmanager
    def write(self) -> Iterator[Transaction]:
        """Begins a transaction; see `Database.write`.

        Raises StoreUnavailable if PostgreSQL is away. If it went away during the commit, the changes may have been
        made: the next transaction shows.
        """
        with self._writing, translated(self.name):
            self._check_lost()
            connection = self._usable_writer()
            try:
                seen = self.sequence
                head = lock_head(connection)
                self._compare(connection, head, seen)
                transaction = Transaction(connection, head.sequence, now_seconds=head.now_seconds, gap=head.gap)
                yield transaction
                transaction.finish()
                commit_at(connection, transaction.sequence, head)
            except BaseException:
                self._roll_back(connection)
                raise
            self._see(transaction.sequence)

    @contextlib.contextmanager
    def maintenance(self) -> Iterator[Transaction]:
        """Begins a transaction without changes of the log. It does not lock the end of the log."""
        with self.reading() as connection:
            connection.script("BEGIN")
            transaction = Transaction(connection, self.sequence, now_seconds=_now_seconds(connection))
            yield transaction
            transaction.finish()
            assert not transaction.added + transaction.retired, "a change needs a sequence: use `write`"
            commit(connection)

    def refresh(self) -> None:
        """Looks for changes of others. Raises StoreUnavailable, or ChangesLost."""
        with self.reading() as connection:
            seen = self.sequence
            self._compare(connection, read_head(connection), seen)

    def wait_for_change(self, seconds: float) -> int:
        """Waits for an announcement of a change, also of this process; see `Database.wait_for_change`."""
        with translated(self.name):
            if not self._is_recorded:
                with contextlib.suppress(StoreError, psycopg.Error):
                    self._connect().close()  # It finds the loss again.
            self._check_lost()
            return self._listener.wait(seconds)

    @contextlib.contextmanager
    def alone(self, work: str) -> Iterator[bool]:
        """Tries to take an advisory lock; see `Database.alone`. PostgreSQL frees it if this process dies."""
        with translated(self.name):
            connection = self._connect()
            try:
                keys = WORK_LOCK, zlib.crc32(work.encode()) - 2**31
                yield bool(query_value(connection, "SELECT pg_try_advisory_lock(?::int, ?::int)", keys))
            finally:
                connection.close()

    def now_seconds(self) -> float:
        """Returns the Unix time of PostgreSQL."""
        with self.reading() as connection:
            return _now_seconds(connection)

    def _connect(self) -> PostgresqlConnection:
        if self._interrupted:
            raise StoreUnavailable(f"{self.name} is not used any more: this server is shutting down")
        connection, seen = PostgresqlConnection(self._url), self.sequence
        try:
            check_version(connection, self._url)
            committing = "on" if self._durable else "off"
            connection.script(
                # Only remote_apply is stronger: it stays.
                f"SELECT set_config('synchronous_commit', '{committing}', false) "
                f"WHERE current_setting('synchronous_commit') <> 'remote_apply' OR '{committing}' = 'off'"
            )
            if self.id:
                self._compare(connection, read_head(connection), seen)
        except BaseException:
            connection.close()
            raise
        return connection

    def _compare(self, connection: PostgresqlConnection, head: Head, seen: int) -> None:
        """Checks that the log has what was seen of it before its end was read, and remembers that."""
        if not head.id:
            raise StoreUnavailable(f"{self.name} has an empty log, as while a dump is restored; try again")
        if head.id != self.id:
            self._lost = f"{self.name} has another log than the one that was loaded: restart this server"
        elif first_lost(connection, head, seen) is not None:
            if query_value(connection, "SELECT pg_is_in_recovery()"):
                raise StoreUnavailable(f"{self.name} is a replica that has not caught up; try again")
            # A replica may have caught up, and then been promoted, since the end of its log was read.
            if (first := first_lost(connection, read_head(connection), seen)) is not None:
                self._lost, self._is_recorded = self._lost_message(seen), False
                with contextlib.suppress(psycopg.Error):  # `wait_for_change` tries again.
                    if connection.in_transaction:
                        connection.script("ROLLBACK")
                    record_loss(connection, seen, first=first)
                    self._is_recorded = True
        elif head.lost is not None:
            self._lost = self._lost_message(head.lost)
        self._check_lost()
        self._see(head.sequence)

    def _lost_message(self, sequence: int) -> str:
        return (
            f"{self.name} has lost changes: it has not had change {sequence}, which was acknowledged; it may have "
            "failed over to a replica that lacked the last ones: bring the old primary back, or go on without them "
            f"({SERVER} accept-loss --data with its URL); then restart this server"
        )

    def _see(self, sequence: int) -> None:
        with self._seeing:
            self.sequence = max(self.sequence, sequence)

    def _check_lost(self) -> None:
        if self._lost:
            raise ChangesLost(self._lost)

    def _usable_writer(self) -> PostgresqlConnection:
        if self._writer is None or not self._writer.is_usable:
            if self._writer is not None:
                self._writer.close()
                self._writer = None
            connection = self._connect()
            try:
                record_origin(connection)
                connection.script(PLANNED_ONCE)
            except BaseException:
                connection.close()
                raise
            self._writer = connection
        return self._writer

    @staticmethod
    def _roll_back(connection: PostgresqlConnection) -> None:
        """Rolls back the open transaction. The next one replaces a connection that is broken."""
        try:
            if connection.in_transaction:
                connection.script("ROLLBACK")
        except psycopg.Error:
            connection.close()


def _now_seconds(connection: PostgresqlConnection) -> float:
    return float(query_value(connection, f"SELECT {NOW}"))
