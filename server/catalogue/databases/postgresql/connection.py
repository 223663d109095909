"""A connection to PostgreSQL that implements `Connection`."""

import contextlib
import functools
import itertools
import os
import select
import socket
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import psycopg
from psycopg.adapt import Buffer, Loader
from psycopg.pq import Format, TransactionStatus
from psycopg.types.array import ListBinaryDumper
from psycopg.types.numeric import Int8BinaryDumper
from psycopg.types.string import StrBinaryDumper

from server.catalogue.databases.document_rows import DocumentRows
from server.catalogue.databases.postgresql.document_rows import write_document_rows
from server.catalogue.location import DatabaseUrl

SCHEMA = "chaja"
"""The schema of all tables."""

CONNECTING: dict[str, object] = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
    "application_name": "chaja",
}
"""Options that the URL may override. A host that is gone is noticed after 20 s at the latest."""

STREAMED_ROWS = 100
"""Rows of a stream that are fetched at a time."""

LOCK_SECONDS = 60
"""Time that a transaction waits for another one's end."""

IDLE_SECONDS = 30
"""Time without a statement after which PostgreSQL ends a transaction: a server that hangs must not block the others."""

_NO_TIMEOUTS = (  # Of those that this version of PostgreSQL has.
    "SELECT set_config(name, '0', false) FROM pg_settings "
    "WHERE name IN ('statement_timeout', 'transaction_timeout', 'idle_session_timeout')"
)

_IN_TRANSACTION = (TransactionStatus.ACTIVE, TransactionStatus.INTRANS, TransactionStatus.INERROR)


class PostgresqlConnection:
    """A connection to PostgreSQL. Outside BEGIN and COMMIT, each statement is a transaction.

    What the URL, the role or the database set otherwise does not count: the encoding, the isolation, and timeouts.
    """

    def __init__(self, url: DatabaseUrl) -> None:
        """Connects; raises psycopg.Error."""
        given = psycopg.conninfo.conninfo_to_dict(url.url)
        options: dict[str, Any] = {name: value for name, value in CONNECTING.items() if name not in given}
        options["client_encoding"] = "UTF8"
        self._raw = psycopg.connect(url.url, autocommit=True, prepare_threshold=2, **options)
        adapters = self._raw.adapters
        adapters.register_dumper(int, Int8BinaryDumper)  # One type for all sizes: a statement is prepared once.
        adapters.register_dumper(str, _TextDumper)
        adapters.register_dumper(list, ListBinaryDumper)  # As text, bytes take several times as long.
        adapters.register_loader("text", _TextLoader)
        self._streams = itertools.count()
        self._prepared: set[str] = set()
        self._polled = select.poll()
        self._polled.register(self._raw.fileno(), select.POLLIN)
        try:
            self.script(
                f"SET search_path = {SCHEMA}; SET default_transaction_isolation = 'read committed'; "
                f"SET lock_timeout = '{LOCK_SECONDS}s'; SET idle_in_transaction_session_timeout = '{IDLE_SECONDS}s'; "
                f"{_NO_TIMEOUTS}"
            )
        except BaseException:
            self.close()
            raise

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open that can be rolled back."""
        return self._raw.info.transaction_status in _IN_TRANSACTION

    @property
    def is_usable(self) -> bool:
        """Whether the connection is open, as far as is known without asking the server.

        A server that ends sends a message, or closes the connection: an idle connection has something to read.
        """
        return not self._raw.closed and not self._polled.poll(0)

    def execute(self, sql: str, parameters: Sequence[object] = (), /) -> psycopg.Cursor[Any]:
        """Runs a statement."""
        return self._checked(self._raw.execute(_converted(sql), parameters, binary=True))

    def executemany(self, sql: str, parameters: Iterable[Sequence[object]], /) -> None:
        """Runs a statement once for each of some parameters."""
        # Not psycopg's pipelines: what they send last disables `idle_in_transaction_session_timeout`.
        for each in parameters:
            self.execute(sql, each)

    @contextlib.contextmanager
    def stream(self, sql: str, parameters: Sequence[object] = (), /) -> Iterator[psycopg.ServerCursor[Any]]:
        """Runs a query whose rows need not fit into memory. A transaction must be open."""
        with self._raw.cursor(f"stream_{next(self._streams)}", binary=True) as cursor:
            cursor.itersize = STREAMED_ROWS
            yield cursor.execute(_converted(sql), parameters)

    def announced(self, seconds: float) -> list[str]:
        """Returns the payloads of the channels that the connection listens to; waits for one for `seconds` at most."""
        return [each.payload for each in self._raw.notifies(timeout=seconds, stop_after=1)]

    def write_documents(self, rows: DocumentRows, /) -> None:
        """Writes the rows of changed documents in one statement."""
        write_document_rows(self, rows)

    def script(self, statements: str) -> psycopg.Cursor[Any]:
        """Runs statements without parameters in one round trip; returns the rows of the last one."""
        cursor = self._raw.execute(statements.encode())
        while cursor.nextset():
            pass
        return self._checked(cursor)

    def prepare(self, name: str, statement: str) -> None:
        """Lets `script` run a statement with EXECUTE: PostgreSQL parses and plans it once."""
        if name not in self._prepared:
            self.script(f"PREPARE {name} AS {statement}")
            self._prepared.add(name)

    def interrupt(self) -> None:
        """Ends the statement that another thread waits for: it raises psycopg.OperationalError."""
        # Not a cancel request, which PostgreSQL would have to answer.
        with contextlib.suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(self._raw.fileno())) as copy:
            copy.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Closes the connection; an open transaction is rolled back."""
        self._raw.close()

    def _checked(self, cursor: psycopg.Cursor[Any]) -> psycopg.Cursor[Any]:
        """Notes which prepared statements are left after a ROLLBACK: psycopg may have deleted all of them."""
        if self._prepared and cursor.statusmessage == "ROLLBACK":
            left = self._raw.execute("SELECT name FROM pg_prepared_statements", prepare=False)
            self._prepared.intersection_update(name for (name,) in left)
        return cursor


@functools.lru_cache(maxsize=1024)
def _converted(sql: str) -> bytes:
    assert "%" not in sql
    return sql.replace("?", "%s").encode()


# PostgreSQL's texts have no NUL. So NUL and U+0001 are stored as two characters, in a way that keeps their order.
class _TextDumper(StrBinaryDumper):
    oid = 25  # `text`: an unknown type could become another one.

    def dump(self, obj: str) -> Buffer | None:
        if "\0" in obj or "\1" in obj:
            obj = obj.replace("\1", "\1\2").replace("\0", "\1\1")
        return super().dump(obj)


class _TextLoader(Loader):
    format = Format.BINARY

    def load(self, data: Buffer) -> str:
        text = str(data, "utf-8")
        return text.replace("\1\1", "\0").replace("\1\2", "\1") if "\1" in text else text
