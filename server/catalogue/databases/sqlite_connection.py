"""A connection to SQLite that implements `Connection`."""

import contextlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from server.catalogue.databases.document_rows import DocumentRows


class SqliteConnection(sqlite3.Connection):
    """A connection to SQLite."""

    def stream(self, sql: str, parameters: Sequence[Any] = (), /) -> contextlib.closing[sqlite3.Cursor]:
        """Runs a query whose rows need not fit into memory."""
        return contextlib.closing(self.execute(sql, parameters))

    def write_documents(self, rows: DocumentRows, /) -> None:
        """Writes the rows of changed documents."""
        self.executemany(
            "UPDATE documents SET retired_seconds = ? WHERE sequence = ?",
            ((rows.now_seconds, sequence) for sequence in rows.retired),
        )
        self.executemany("DELETE FROM deletions WHERE id = ?", ((new.id,) for new in rows.documents))
        self.executemany("INSERT INTO deletions (sequence, id) VALUES (?, ?)", rows.deletions)
        self.executemany(
            "INSERT INTO documents (sequence, id, retired_seconds, checksum, content) VALUES (?, ?, ?, ?, ?)",
            (
                (new.sequence, new.id, rows.now_seconds if new.is_retired else None, new.checksum, new.content)
                for new in rows.documents
            ),
        )
        self.executemany(
            "INSERT INTO revisions (revision, used_seconds) VALUES (?, ?) ON CONFLICT DO NOTHING",
            {(new.revision, rows.now_seconds) for new in rows.vectors},
        )
        self.executemany(
            "INSERT INTO vectors (sequence, revision, spans_checksum, matrix_checksum, spans, matrix) "
            "SELECT sequence, (SELECT number FROM revisions WHERE revision = ?), ?, ?, ?, ? "
            "FROM documents WHERE sequence = ? ON CONFLICT (sequence, revision) "
            "DO UPDATE SET spans_checksum = excluded.spans_checksum, matrix_checksum = excluded.matrix_checksum, "
            "spans = excluded.spans, matrix = excluded.matrix",
            ((*new[1:], new.sequence) for new in rows.vectors),
        )


def open_sqlite(database: str | Path, **options: Any) -> SqliteConnection:
    """Opens a database with the options of `sqlite3.connect`. Statements outside BEGIN and COMMIT commit themselves."""
    connection = sqlite3.connect(database, isolation_level=None, factory=SqliteConnection, **options)
    assert isinstance(connection, SqliteConnection)
    return connection
