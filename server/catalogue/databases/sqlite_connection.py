"""A connection to SQLite that implements `Connection`."""

import contextlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any


class SqliteConnection(sqlite3.Connection):
    """A connection to SQLite."""

    def stream(self, sql: str, parameters: Sequence[Any] = (), /) -> contextlib.closing[sqlite3.Cursor]:
        """Runs a query whose rows need not fit into memory."""
        return contextlib.closing(self.execute(sql, parameters))


def open_sqlite(database: str | Path, **options: Any) -> SqliteConnection:
    """Opens a database with the options of `sqlite3.connect`. Statements outside BEGIN and COMMIT commit themselves."""
    connection = sqlite3.connect(database, isolation_level=None, factory=SqliteConnection, **options)
    assert isinstance(connection, SqliteConnection)
    return connection
