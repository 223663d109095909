"""A connection to the database of a store, as far as SQLite and PostgreSQL agree.

Statements are SQL that both understand, with `?` for parameters: upserts by ON CONFLICT, RETURNING, no negative LIMIT,
and quotes around the column "user".
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import islice
from typing import Any, Protocol

from server.catalogue.databases.document_rows import DocumentRows

ALL_ROWS = 2**62
"""A LIMIT that no table exceeds."""

LIST_VALUES = 500
"""Values of a query's list at a time: a statement has a bounded number of parameters."""


class Cursor(Protocol):
    """The rows of a statement."""

    @property
    def rowcount(self) -> int:
        """Number of rows that the statement has changed."""

    def fetchone(self) -> Any:
        """Returns the next row; None if there is none."""

    def fetchmany(self, size: int, /) -> list[Any]:
        """Returns up to `size` further rows."""

    def fetchall(self) -> list[Any]:
        """Returns all further rows."""

    def __iter__(self) -> Iterator[Any]: ...


class Connection(Protocol):
    """A connection. One thread uses it at a time."""

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open that can be rolled back."""

    def execute(self, sql: str, parameters: Sequence[object] = ..., /) -> Cursor:
        """Runs a statement."""

    def executemany(self, sql: str, parameters: Iterable[Sequence[object]], /) -> object:
        """Runs a statement once for each of some parameters."""

    def stream(self, sql: str, parameters: Sequence[object] = ..., /) -> AbstractContextManager[Cursor]:
        """Runs a query whose rows need not fit into memory. Within `Database.snapshot` only."""

    def write_documents(self, rows: DocumentRows, /) -> None:
        """Writes the rows of changed documents, in as few statements as the database allows."""


def query_value(connection: Connection, query: str, parameters: Sequence[object] = ()) -> Any:
    """Returns the first column of a query's first row; None if it has no row."""
    row = connection.execute(query, parameters).fetchone()
    return None if row is None else row[0]


def rows_among(connection: Connection, query: str, values: Iterable[object]) -> Iterator[Any]:
    """Yields the rows of a query that ends with IN, for some values, which may be many."""
    left = iter(values)
    while some := list(islice(left, LIST_VALUES)):
        yield from connection.execute(f"{query} ({', '.join('?' * len(some))})", some).fetchall()


def limit_of(limit: int) -> int:
    """Returns the LIMIT of at most `limit` rows, or of all if it is negative."""
    return limit if limit >= 0 else ALL_ROWS
