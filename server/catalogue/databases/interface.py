"""The interface of a store's database: where the log ends, transactions, and errors in the terms of `server.errors`."""

from contextlib import AbstractContextManager
from typing import Protocol

from server.catalogue.databases.connection import Connection
from server.catalogue.transaction import Transaction
from server.errors import DatabaseDamaged


class Database(Protocol):
    """The database of a store. Many threads may read at the same time; all methods block.

    Attributes:
        name: Its name in messages.
        id: Unique id of the database.
        is_shared: Whether several servers may use it at the same time.
    """

    name: str
    id: str
    is_shared: bool

    @property
    def sequence(self) -> int:
        """Sequence of the last change that is known to be durable; 0 if there is none."""

    def reading(self) -> AbstractContextManager[Connection]:
        """Yields a connection to read with. Each statement sees the newest state."""

    def snapshot(self) -> AbstractContextManager[Connection]:
        """Yields a connection to read with. While a query's rows are read, further statements see its state."""

    def write(self) -> AbstractContextManager[Transaction]:
        """Begins a transaction, after those of all others. At its end, its changes are durable and visible.

        If the context or the commit raises an error, none is kept.
        """

    def maintenance(self) -> AbstractContextManager[Transaction]:
        """Begins a transaction that makes no change with a sequence, and does not wait for those that do."""

    def refresh(self) -> None:
        """Looks for changes of other servers, so that `sequence` counts them.

        Raises StoreUnavailable, or ChangesLost if the database lacks changes that this process has seen.
        """

    def wait_for_change(self, seconds: float) -> int:
        """Waits until another server has announced a change, for `seconds` at most.

        Returns the sequence of the newest announced change, 0 if there was none. A change may go unannounced.
        """

    def alone(self, work: str) -> AbstractContextManager[bool]:
        """Yields whether no other process does this work on the database now, and keeps others from it meanwhile."""

    def now_seconds(self) -> float:
        """Returns the Unix time. All servers of a database use the same clock."""

    def size_bytes(self) -> int:
        """Returns the size of the database."""

    def verify(self) -> None:
        """Reads the whole database; raises DatabaseDamaged if something is not as it was written."""

    def damaged(self, reason: str) -> DatabaseDamaged:
        """Returns the error of a database that is damaged for a reason."""

    def interrupt(self) -> None:
        """Ends all waiting for a database that does not answer, so that the process can end. Any thread may call it.

        Reads and writes then raise StoreUnavailable.
        """

    def close(self) -> None:
        """Closes all connections."""
