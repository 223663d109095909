"""The end of the log in PostgreSQL, and whether this is the same log as before.

    primary:   … 98, 99, 100 (acknowledged)       it dies, and a replica that has 98 is promoted
    promoted:  … 98 ── gap 99–1861152000123456 ── 1861152000123457 …

The first connection that writes to another cluster, database, timeline or table than that of the last change records a
gap for the next change: so sequences never repeat. A server that has seen 100 finds it in the gap, or beyond the end.
"""

from typing import NamedTuple

from psycopg.errors import ReadOnlySqlTransaction

from server.catalogue.databases.connection import Cursor, query_value
from server.catalogue.databases.postgresql.connection import PostgresqlConnection
from server.catalogue.databases.postgresql.listener import CHANNEL
from server.catalogue.sequences import Gap, gap_after, gap_around

_ORIGIN = (
    "SELECT (SELECT system_identifier FROM pg_control_system()) || '/' || "
    "(SELECT oid FROM pg_database WHERE datname = current_database()) || '/' || "
    "CASE WHEN NOT pg_is_in_recovery() THEN left(pg_walfile_name(pg_current_wal_lsn()), 8) END"
)

_TABLE = "'log'::regclass::oid::bigint"

_MOVED = f"(origin <> ? OR table_oid IS DISTINCT FROM {_TABLE})"

NOW = "extract(epoch FROM clock_timestamp())::float8"
"""The Unix time of PostgreSQL, since the clocks of servers may differ."""

_LOST = "(SELECT max(sequence) FROM lost_changes WHERE accepted_seconds IS NULL)"

_HEAD = f"SELECT id, sequence, gap_last, {NOW}, {_LOST} FROM log"  # noqa: S608


class Head(NamedTuple):
    """The end of a log: its last sequence, and the gap before its next one, if there is one.

    `now_seconds` is the Unix time when it was read, and `lost` a change that a server has missed here, if that was not
    accepted.
    """

    id: str
    sequence: int
    gap: Gap | None
    now_seconds: float
    lost: int | None


def read_head(connection: PostgresqlConnection) -> Head:
    """Returns the end of the log."""
    return _head(connection.execute(_HEAD))


def lock_head(connection: PostgresqlConnection) -> Head:
    """Begins a transaction, waits for those of all others, and returns the end of the log."""
    connection.prepare("lock_head", f"{_HEAD} FOR UPDATE")
    return _head(connection.script("BEGIN; EXECUTE lock_head"))


def commit_at(connection: PostgresqlConnection, sequence: int, head: Head) -> None:
    """Moves the end of the log from `head` to a sequence, commits, and announces it."""
    if sequence == head.sequence:
        commit(connection)
    else:
        connection.prepare("move_head", "UPDATE log SET sequence = $1, gap_last = NULL")
        commit(connection, f"EXECUTE move_head({sequence:d}); NOTIFY {CHANNEL}, '{sequence:d}'; ")


def commit(connection: PostgresqlConnection, statements: str = "") -> None:
    """Runs further statements without parameters, and commits."""
    ended = connection.script(f"{statements}COMMIT").statusmessage
    assert ended == "COMMIT", "PostgreSQL answers ROLLBACK if a statement had failed"


def record_origin(connection: PostgresqlConnection) -> None:
    """Records a gap if the log was last written in another place. Each connection that writes calls it first.

    Raises ReadOnlySqlTransaction on a replica: it has no place before it is promoted, and its connections last longer.
    """
    if (origin := query_value(connection, _ORIGIN)) is None:
        raise ReadOnlySqlTransaction("it is a replica")
    if not query_value(connection, f"SELECT {_MOVED} FROM log", (origin,)):  # noqa: S608
        return
    head = lock_head(connection)
    connection.execute(  # A new database has no origin: there is no other copy of it.
        f"UPDATE log SET origin = ?, table_oid = {_TABLE}, "  # noqa: S608
        f"gap_last = CASE WHEN origin = '' THEN NULL ELSE greatest(gap_last, ?) END WHERE {_MOVED}",
        (origin, gap_after(head.sequence, connection, now_seconds=head.now_seconds).last, origin),
    )
    connection.script("COMMIT")


def skip_lost(connection: PostgresqlConnection, head: Head) -> None:
    """Lets the next change follow a gap that ends beyond all lost changes, also if the log is in the same place."""
    end = max(head.sequence, head.lost or 0)
    last = gap_after(end, connection, now_seconds=head.now_seconds).last
    connection.execute("UPDATE log SET gap_last = greatest(gap_last, ?)", (last,))


def first_lost(connection: PostgresqlConnection, head: Head, seen: int) -> int | None:
    """Returns the first change that a log which has had the sequence `seen` has lost; None if it still has `seen`."""
    if head.sequence <= seen:
        return head.sequence + 1 if head.sequence < seen else None
    gap = gap_around(connection, seen)
    return None if gap is None else gap.first


def _head(rows: Cursor) -> Head:
    id, sequence, last, now_seconds, lost = rows.fetchone() or ("", 0, None, 0.0, None)
    return Head(id, sequence, None if last is None else Gap(sequence + 1, last), now_seconds, lost)
