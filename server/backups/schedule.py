"""Makes a backup of the store at an interval, in a separate thread and process.

The age of the newest backup decides when the next is due, so a server that restarts often backs up as rarely as one
that does not. Only this thread touches the directory of the backups: a disk that hangs holds nothing else.
"""

import contextlib
import logging
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

from server.backups.folder import BackupFolder
from server.catalogue.database import BACKUPS
from server.errors import StoreError
from server.metrics.store import BackupMetrics
from server.priority import give_way

log = logging.getLogger(__name__)

NICENESS = 19

CHECK_SECONDS = 60.0
"""Longest time until the directory is read again."""

RETRY_SECONDS = 10.0
MAX_RETRY_SECONDS = 600.0
"""Pause after a first failure, which doubles with each further one, and its bound. It never exceeds the interval."""

END_SECONDS = 0.8
"""Time that a stop leaves the thread to remove an unfinished file."""


class BackupSchedule:
    """The scheduled backups of the store in a directory."""

    def __init__(
        self, data: Path, store_id: str, to: Path, metrics: BackupMetrics, *, every_seconds: float, keep: int
    ) -> None:
        """Prepares backups of the store in `data` to the directory `to`. Nothing runs before `start`."""
        self._data = data
        # `resolve` would read the disk here, in the caller's thread.
        ours = os.path.abspath(to) == os.path.abspath(data / BACKUPS)  # noqa: PTH100
        self._folder = BackupFolder(to, store_id, make=ours)
        self._metrics = metrics
        self._every_seconds = every_seconds
        self._keep = keep
        self._failures = 0
        self._process: subprocess.Popen[str] | None = None
        self._allowed = threading.Event()
        self._stopping = threading.Event()
        self._wake = threading.Event()
        # A daemon: a disk that hangs does not delay the end of the process.
        self._thread = threading.Thread(target=self._run, name="backups", daemon=True)

    def start(self) -> None:
        """Starts to report the newest backup. No backup is made before `allow`."""
        self._metrics.interval_seconds.set(self._every_seconds)
        self._thread.start()

    def allow(self) -> None:
        """Makes due backups from now on: the store is up to date with the catalogue file."""
        self._allowed.set()
        if not self._failures:  # After a failure, the next attempt is at the time that was logged.
            self._wake.set()

    def stop(self) -> None:
        """Ends a running backup, of which nothing remains, and the thread. Blocks for a second at most."""
        self._stopping.set()
        self._wake.set()
        if (running := self._process) is not None:
            running.kill()
        self._thread.join(END_SECONDS)

    def _run(self) -> None:
        give_way(NICENESS)
        self._warn_of_same_disk()
        while not self._stopping.is_set():
            self._wake.clear()
            began = time.monotonic()
            try:
                pause_seconds = self._back_up_if_due()
                self._failures = 0
            except Exception as error:
                if self._stopping.is_set():
                    break
                pause_seconds = self._failed(error, time.monotonic() - began)
            self._wake.wait(pause_seconds)
        self._folder.unlock()

    def _back_up_if_due(self) -> float:
        """Returns the seconds until the next check."""
        self._folder.lock()
        now = time.time()
        newest = self._report(now)
        left_seconds = 0.0 if newest is None else newest + self._every_seconds - now
        if left_seconds <= 0 and self._allowed.is_set():
            self._back_up(now)
            left_seconds = self._every_seconds
        return min(left_seconds if left_seconds > 0 else CHECK_SECONDS, CHECK_SECONDS)

    def _report(self, now: float) -> float | None:
        """Reports the newest backup; returns its Unix time, None if there is none."""
        newest = self._folder.newest(now)
        self._metrics.timestamp_seconds.set(newest.seconds if newest else 0)
        self._metrics.bytes.set(newest.size_bytes if newest else 0)
        return newest.seconds if newest else None

    def _back_up(self, now: float) -> None:
        began = time.monotonic()
        path = self._folder.new_path(now)
        try:
            self._run_process(path)
        finally:
            with contextlib.suppress(StoreError):  # The first error says more.
                self._folder.remove_unfinished()
        seconds = time.monotonic() - began
        self._report(now)  # First, so that a counted backup is also reported.
        self._metrics.made.count(failed=False, seconds=seconds)
        log.info("made and verified the backup %s in %.1f s", path, seconds)
        try:
            self._folder.remove_old(self._keep, path)
        except StoreError as error:
            log.error("old backups were not removed: %s", error)

    def _run_process(self, path: Path) -> None:
        """Runs `server.backups.process`; raises StoreError with its error."""
        command = [sys.executable, "-m", f"{__package__}.process", str(self._data), str(path)]
        # In a separate process group, so that a terminal's Ctrl-C reaches only the server, which ends the process.
        with subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            process_group=0,
        ) as process:
            self._process = process
            if self._stopping.is_set():
                process.kill()
            assert process.stdout is not None
            lines = process.stdout.read().splitlines()
        self._process = None
        if process.returncode != 0:
            raise StoreError(lines[-1] if lines else f"its process ended with the exit code {process.returncode}")

    def _failed(self, error: Exception, seconds: float) -> float:
        """Counts and logs a failure; returns the seconds until the next attempt."""
        pause_seconds = min(RETRY_SECONDS * 2.0 ** min(self._failures, 9), MAX_RETRY_SECONDS, self._every_seconds)
        self._failures += 1
        self._metrics.made.count(failed=True, seconds=seconds)
        unexpected = None if isinstance(error, StoreError) else error
        log.error("the backup failed: %s; the next attempt is in %.0f s", error, pause_seconds, exc_info=unexpected)
        return pause_seconds

    def _warn_of_same_disk(self) -> None:
        with contextlib.suppress(OSError):  # A missing directory is reported by the first check.
            if self._folder.path.stat().st_dev == self._data.stat().st_dev:
                log.warning(
                    "%s is on the file system of --data: a disk that is lost takes the backups with it",
                    self._folder.path,
                )
