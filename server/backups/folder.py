"""The scheduled backups of one store in a directory that other stores may share.

    chaja-20261130T074500Z-4f1c2a9be07d.sqlite                        the time in UTC, and the store's id
    chaja-20261130T074500Z-4f1c2a9be07d.sqlite.XXXXXXXX.unfinished    a backup that is being made
    chaja-4f1c2a9be07d.lock                                           locked by the server of this store

Only files with these names and this store's id are counted or removed.
"""

import contextlib
import datetime
import fcntl
import logging
import os
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from server.catalogue.database import SCHEDULED
from server.catalogue.schema import APPLICATION_ID
from server.errors import StoreError
from server.files import UNFINISHED

log = logging.getLogger(__name__)

TIME_FORMAT = "%Y%m%dT%H%M%SZ"

ID_CHARACTERS = 12
"""Characters of the store's id in a name."""

CLOCK_SECONDS = 60.0
"""A backup that is further in the future was named by a wrong clock, and does not delay the next one."""


class Backup(NamedTuple):
    """A verified backup: its file, its Unix time and its size."""

    path: Path
    seconds: float
    size_bytes: int


class BackupFolder:
    """The backups of the store with an id. All methods raise StoreError if the directory cannot be used."""

    def __init__(self, path: Path, store_id: str, *, make: bool = False) -> None:
        """If `make`, the directory is made when it is missing. Otherwise that is an error: its disk may be missing."""
        self.path = path
        self._make = make
        self._id = store_id[:ID_CHARACTERS]
        self._name = re.compile(rf"{SCHEDULED}(\d{{8}}T\d{{6}}Z)-{self._id}\.sqlite")
        self._lock: int | None = None
        self._warned: set[Path] = set()

    def newest(self, now: float) -> Backup | None:
        """Returns the newest backup, None if there is none."""
        return next((backup for backup in self._backups() if backup.seconds <= now + CLOCK_SECONDS), None)

    def new_path(self, now: float) -> Path:
        """Returns the path of a backup that is made now."""
        time_name = datetime.datetime.fromtimestamp(now, datetime.UTC).strftime(TIME_FORMAT)
        return self.path / f"{SCHEDULED}{time_name}-{self._id}.sqlite"

    def lock(self) -> None:
        """Keeps other servers from using the directory for this store, until `unlock`. Call it before other methods.

        Removes the unfinished backups of a killed server.
        """
        path = self.path / f"{SCHEDULED}{self._id}.lock"
        with self._usable():
            if self._lock is not None and path.exists() and os.path.samestat(os.fstat(self._lock), path.stat()):
                return
            self.unlock()
            if self._make:
                self.path.mkdir(0o700, exist_ok=True)
            lock = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
                raise StoreError(
                    f"another server, with a copy of this store, uses {self.path}: choose another --backup-directory"
                ) from None
            except OSError:  # The file system has no locks.
                pass
            self._lock = lock
        self.remove_unfinished()

    def unlock(self) -> None:
        """Releases the lock, if it is held."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def remove_unfinished(self) -> None:
        """Removes the files of backups that were not finished."""
        with self._usable():
            for path in self.path.iterdir():
                name, _, rest = path.name.partition(".sqlite.")
                if UNFINISHED in rest and self._name.fullmatch(f"{name}.sqlite"):
                    path.unlink(missing_ok=True)

    def remove_old(self, keep: int, made: Path) -> None:
        """Removes all backups but the newest `keep`. One of these is `made`, whatever its time."""
        others = [backup.path for backup in self._backups() if backup.path != made]
        with self._usable():
            for path in others[keep - 1 :]:
                path.unlink(missing_ok=True)
                log.info("removed the old backup %s", path)

    def _backups(self) -> list[Backup]:
        """Returns the backups, the newest first."""
        found = []
        with self._usable():
            for path in sorted(self.path.iterdir(), reverse=True):
                if (named := self._name.fullmatch(path.name)) is None:
                    continue
                seconds, size_bytes = _unix_seconds(named[1]), _whole_size(path)
                if seconds is not None and size_bytes is not None:
                    found.append(Backup(path, seconds, size_bytes))
                elif path not in self._warned:
                    self._warned.add(path)
                    log.warning("%s is not a whole backup and does not count as one: remove it", path)
        return found

    @contextlib.contextmanager
    def _usable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if not self.path.exists():
                raise StoreError(f"{self.path} does not exist: create it, or mount its disk") from None
            raise StoreError(
                f"--backup-directory {self.path} cannot be used: {error.strerror}; choose one that it may write to"
            ) from None


def _unix_seconds(text: str) -> float | None:
    """Returns the time in a name, None if there is no such time."""
    try:
        return datetime.datetime.strptime(text, TIME_FORMAT).replace(tzinfo=datetime.UTC).timestamp()
    except ValueError:
        return None


def _whole_size(path: Path) -> int | None:
    """Returns the size of a database of ours in bytes, as its header says; None for anything else of that name.

    A backup is verified before it gets its name. This check finds files that were cut short or replaced later, without
    reading them (https://www.sqlite.org/fileformat.html, 1.3).
    """
    try:
        if not path.is_file():  # A directory, or a FIFO, which would block.
            return None
        with path.open("rb") as file:
            header = file.read(100)
            size_bytes = os.fstat(file.fileno()).st_size
    except OSError:
        return None
    if len(header) < 100 or not header.startswith(b"SQLite format 3\0"):
        return None
    page_bytes, pages, application = (
        struct.unpack_from(kind, header, at)[0] for kind, at in ((">H", 16), (">I", 28), (">I", 68))
    )
    whole = application == APPLICATION_ID and size_bytes == pages * (65536 if page_bytes == 1 else page_bytes)
    return size_bytes if whole else None
