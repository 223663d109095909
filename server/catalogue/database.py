"""Opens, checks, locks, backs up and restores the SQLite database of the store.

DIR/catalogue.sqlite    the documents and their vectors, with SQLite's -wal and -shm files
DIR/backups/            copies of the database, named by the time in UTC
DIR/acknowledged        the last acknowledged change (`server.catalogue.acknowledged`)
DIR/lock                locked by the one server that may write

Directories and files are made for their owner only, whatever the umask.
"""

import contextlib
import datetime
import fcntl
import os
import shutil
import sqlite3
import uuid
from collections.abc import Iterator
from pathlib import Path

from server.catalogue.acknowledged import ACKNOWLEDGED, read_acknowledged
from server.catalogue.checksums import find_wrong_row
from server.catalogue.databases.connection import query_value
from server.catalogue.databases.sqlite_connection import SqliteConnection, open_sqlite
from server.catalogue.schema import (
    MIGRATIONS,
    has_feedback,
    has_our_tables,
    has_rules,
    is_ours,
    migrate,
    schema_version,
)
from server.catalogue.sequences import record_used
from server.errors import DatabaseDamaged, StoreError, StoreFull
from server.files import new_file, sync
from server.programs import SERVER

DATABASE = "catalogue.sqlite"
DATABASE_FILES = ("", "-wal", "-shm")
"""Suffixes that SQLite appends to the name of the database for its files."""

BACKUPS = "backups"
SCHEDULED = "chaja-"
"""Beginning of the names of scheduled backups, before the time."""

LOCK = "lock"

BUSY_SECONDS = 60.0
"""Time that a connection waits for another one's write."""

WAL_BYTES = 64 * 2**20
"""Size to which a larger write-ahead log is truncated."""

COPIED_PAGES = 1024
"""Pages of 4 KiB that a backup copies at a time."""

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_FULL = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)


def connect(directory: Path, *, durable: bool = True) -> SqliteConnection:
    """Opens a database, which a crash may destroy if it is not `durable`; raises DatabaseDamaged or StoreError."""
    with translated(directory):
        path = directory / DATABASE
        _make_private(path)
        connection = open_sqlite(path, timeout=BUSY_SECONDS, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'OFF'}")
            connection.execute(f"PRAGMA journal_size_limit = {WAL_BYTES}")
        except BaseException:
            connection.close()
            raise
    return connection


def _make_private(database: Path) -> None:
    """Creates the database if there is none, and makes its files readable for their owner only.

    SQLite copies the database's mode to -wal and -shm. An existing file must not be opened here: closing it would drop
    SQLite's locks (https://www.sqlite.org/howtocorrupt.html, 2.2). SQLite reports the errors that are ignored here.
    """
    with contextlib.suppress(OSError):
        os.close(os.open(database, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    for suffix in DATABASE_FILES:
        path = Path(f"{database}{suffix}")
        with contextlib.suppress(OSError):
            if path.stat().st_mode & 0o777 != 0o600:  # `acknowledged` notices any change of the inode.
                path.chmod(0o600)


def bring_up_to_date(connection: SqliteConnection, directory: Path) -> None:
    """Makes the tables of a new database, or backs up and migrates an older one; raises StoreError."""
    version, path = schema_version(connection), directory / DATABASE
    if version == len(MIGRATIONS) and is_ours(connection):
        return
    empty = not query_value(connection, "SELECT count(*) FROM sqlite_master")
    if empty and next((directory / BACKUPS).glob("*.sqlite"), None) is not None:
        raise damaged(directory, "it is empty, but there are backups")
    if not empty and not is_ours(connection):
        raise StoreError(f"{path} is the database of another program: choose another directory with --data")
    if version > len(MIGRATIONS):
        raise StoreError(
            f"{path} was written by a newer version of Chaja (schema {version}; this one knows {len(MIGRATIONS)}), "
            f"or is damaged: run that version, or {_remedy(directory)}"
        )
    if not empty:
        back_up(directory)
    migrate(connection)


def check(connection: SqliteConnection, directory: Path) -> None:
    """Raises DatabaseDamaged if a table, an index or a row is not as it was written. Call it within `translated`."""
    if not has_our_tables(connection):
        raise damaged(directory, "its tables have been altered")
    if (found := find_damage(connection)) is not None:
        raise damaged(directory, found)


def find_damage(connection: SqliteConnection) -> str | None:
    """Reads every page and row of a database; returns the first damage, or None. Raises sqlite3.Error."""
    if (found := connection.execute("PRAGMA integrity_check(1)").fetchone()[0]) != "ok":
        return str(found)
    return find_wrong_row(connection, has_rules=has_rules(connection), has_feedback=has_feedback(connection))


def last_sequence(connection: SqliteConnection) -> int:
    """Returns the sequence of the last change; 0 if there is none."""
    queries = ["SELECT max(sequence) FROM documents", "SELECT max(sequence) FROM deletions"]
    if has_rules(connection):
        queries.append("SELECT max(sequence) FROM rules")
    return max(query_value(connection, query) or 0 for query in queries)


def damaged(directory: Path, reason: str) -> DatabaseDamaged:
    """Returns the error of a damaged database, which names the newest backup."""
    one_line = " ".join(reason.split())  # SQLite's messages may have several lines.
    return DatabaseDamaged(f"{directory / DATABASE} is damaged ({one_line}); {_remedy(directory)}")


def _remedy(directory: Path) -> str:
    backups = sorted((directory / BACKUPS).glob("*.sqlite"), key=lambda path: path.name.removeprefix(SCHEDULED))
    if not backups:
        return (
            "restore a backup, or move the directory away and import the catalogue again "
            f"(there is no backup in {directory / BACKUPS})"
        )
    return f"restore the newest backup, {backups[-1]}: {SERVER} restore --data {directory} --from {backups[-1]}"


@contextlib.contextmanager
def translated(directory: Path) -> Iterator[None]:
    """Translates SQLite's errors that an operator can fix into errors of `server.errors`."""
    try:
        yield
    except UnicodeDecodeError:  # SQLite's messages may quote damaged text.
        raise damaged(directory, "a text is not valid UTF-8") from None
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _DAMAGED:
            raise damaged(directory, str(error)) from None
        if code in _FULL:
            raise StoreFull(f"the disk of {directory} is full or fails ({error}); nothing was written") from None
        if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
            raise StoreError(f"{directory / DATABASE} cannot be written: {error}") from None
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise StoreError(f"{directory / DATABASE} is locked by another program: {error}") from None
        if code == sqlite3.SQLITE_ERROR and isinstance(error, sqlite3.OperationalError):
            # The store's statements fail only if its tables have been altered.
            raise damaged(directory, str(error)) from None
        if code == sqlite3.SQLITE_CANTOPEN:
            raise StoreError(f"{directory / DATABASE} cannot be opened: {error}") from None
        raise


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Makes the directory if necessary and locks it; raises StoreError if it is unusable or another server uses it."""
    if directory.exists() and not directory.is_dir():
        raise StoreError(f"{directory} cannot be used for --data: it is a file, not a directory")
    try:
        directory.mkdir(0o700, parents=True, exist_ok=True)
        lock = os.open(directory / LOCK, os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as error:
        raise StoreError(f"{directory} cannot be used for --data: {error.strerror}") from None
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StoreError(f"another server uses {directory}: stop it, or set --data to another directory") from None
        yield
    finally:
        os.close(lock)


def back_up(directory: Path, to: Path | None = None) -> Path:
    """Copies a consistent state of the database while others may write, and verifies the copy; returns its path.

    The copy gets its name when it is complete, verified and on disk. Raises StoreError.
    """
    if not (directory / DATABASE).is_file():
        raise StoreError(f"there is no {directory / DATABASE} to back up")
    path = to or directory / BACKUPS / f"{_now()}.sqlite"
    try:
        if to is None:
            path.parent.mkdir(0o700, exist_ok=True)
        with (
            translated(directory),
            contextlib.closing(connect(directory)) as source,
            new_file(path) as new,
            _copied(source, new, path) as copy,
        ):
            if schema_version(copy) == len(MIGRATIONS):
                check(copy, directory)
            elif (found := find_damage(copy)) is not None:  # It is about to be migrated.
                raise damaged(directory, found)
    except FileExistsError:
        raise StoreError(f"{path} already exists and is not overwritten: choose another name") from None
    except OSError as error:
        raise StoreError(
            f"the backup {path} cannot be written: {error.strerror}; choose another path with --to"
        ) from None
    return path


@contextlib.contextmanager
def _copied(source: SqliteConnection, new: Path, path: Path) -> Iterator[SqliteConnection]:
    """Yields a connection to a copy of one state of a database. `path` is the copy's name in errors."""
    # Only this process uses the copy: it needs no locks, which some network file systems lack, and no journal.
    uri = f"{new.absolute().as_uri()}?vfs=unix-none"
    with contextlib.closing(open_sqlite(uri, uri=True)) as copy:
        for pragma in ("locking_mode = EXCLUSIVE", "journal_mode = OFF", "synchronous = OFF"):
            copy.execute(f"PRAGMA {pragma}")
        source.execute("BEGIN")  # Otherwise every write of others would start the copy again.
        last_sequence(source)  # SQLite keeps the state of the first read.
        try:
            # To sync each portion keeps the system's write buffers short: commits of others wait for them.
            source.backup(copy, pages=COPIED_PAGES, progress=lambda *_: sync(new))
            copy.execute("PRAGMA journal_mode = DELETE")
        except sqlite3.Error as error:
            if error.sqlite_errorcode & 0xFF not in _FULL:
                raise
            raise StoreError(
                f"the backup {path} cannot be written ({error}): free some of its disk, or choose another"
            ) from None
        source.execute("ROLLBACK")
        yield copy


def restore(directory: Path, backup: Path) -> Path | None:
    """Replaces the database with a backup; returns the new path of the old one, if there was one. Raises StoreError."""
    if not backup.is_file():
        raise StoreError(f"--from {backup} is not a file: name a backup")
    with locked(directory):
        unfinished = directory / f"{DATABASE}.unfinished"
        try:
            unfinished.unlink(missing_ok=True)
            unfinished.touch(0o600)
            shutil.copyfile(backup, unfinished)
            sync(unfinished)
            with contextlib.closing(open_sqlite(unfinished)) as copy:
                if not is_ours(copy) or find_damage(copy) is not None:
                    raise StoreError(f"{backup} is not an intact backup of a catalogue: choose another")
                # A new id: snapshots and watchers of the replaced database must not continue with this one.
                copy.execute("UPDATE facts SET value = ? WHERE name = 'id'", (uuid.uuid4().hex,))
                record_used(copy, max(read_acknowledged(directory).sequence, _last_used(directory)))
            sync(unfinished)
            kept = directory / f"replaced-{_now()}.sqlite"
            for suffix in DATABASE_FILES:
                with contextlib.suppress(FileNotFoundError):
                    (directory / f"{DATABASE}{suffix}").replace(f"{kept}{suffix}")
            unfinished.replace(directory / DATABASE)
            (directory / ACKNOWLEDGED).unlink(missing_ok=True)  # It belongs to the replaced database.
            sync(directory)
            return kept if kept.exists() else None
        except (sqlite3.Error, UnicodeDecodeError):
            raise StoreError(f"{backup} is not an intact backup of a catalogue: choose another") from None
        except OSError as error:
            raise StoreError(f"{backup} cannot be restored to {directory}: {error.strerror}") from None
        finally:
            unfinished.unlink(missing_ok=True)


def _last_used(directory: Path) -> int:
    """Returns the last sequence of a database that may be damaged or missing; 0 if it cannot be read."""
    uri = f"{(directory / DATABASE).absolute().as_uri()}?mode=ro"  # It is kept as it is, with its log.
    with (
        contextlib.suppress(sqlite3.Error, UnicodeDecodeError),
        contextlib.closing(open_sqlite(uri, uri=True)) as replaced,
    ):
        return last_sequence(replaced)
    return 0


def _now() -> str:
    """Returns the time in UTC, as a name that sorts by time."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%S.%fZ")
