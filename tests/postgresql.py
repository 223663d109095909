"""A cluster of PostgreSQL for tests, from Debian's package, with a new directory and a Unix socket."""

import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import psycopg
import pytest

from server.catalogue.databases.postgresql.migrating import VERSION, migrate
from server.catalogue.location import DatabaseUrl, parse_location

PLACES = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
"""Debian's directories of programs, the newest version first."""

USER = "nobody"  # codespell:ignore
"""The user who runs the cluster if the tests run as root, which PostgreSQL refuses."""

SECONDS = 60


def programs() -> Path:
    """Returns the directory of PostgreSQL's programs. Skips the test if there is none; in CI, fails it."""
    if not PLACES:
        assert not os.environ.get("CI"), "PostgreSQL is missing: make postgresql"
        pytest.skip("PostgreSQL is missing: make postgresql")
    return PLACES[0]


class Cluster:
    """A running cluster.

    Attributes:
        data: Its directory.
    """

    def __init__(self, *options: str, copy_of: "Cluster | None" = None, standby: bool = False) -> None:
        """Makes and starts a cluster, or a copy of another one that is stopped, as a replica if it is a `standby`.

        `options` are those of `postgres`.
        """
        self._programs = programs()
        # Short: the path of a socket has at most 107 bytes.
        self._folder = Path(tempfile.mkdtemp(prefix="pg-"))
        self._folder.chmod(0o755)
        self.data = self._folder / "data"
        self.data.mkdir(0o700)
        self._own(self._folder)
        self._options = ("fsync=off", *options)
        self._socket = self._folder
        if copy_of is None:
            self._run("initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale", "C", "-N")
        else:
            shutil.copytree(copy_of.data, self.data, dirs_exist_ok=True)
            if standby:
                (self.data / "standby.signal").touch()
            self._own(self.data)
        self.start()

    def start(self) -> None:
        """Starts it, and waits until it answers."""
        options = " ".join(f"-c {each}" for each in self._options)
        socket = f"-c listen_addresses='' -c unix_socket_directories={self._socket} {options}"
        log = self._folder / "log"
        self._run("pg_ctl", "-D", self.data, "-w", "-t", str(SECONDS), "-l", log, "-o", socket, "start")

    def stop(self, mode: str = "fast") -> None:
        """Stops it: `fast` ends its connections, `immediate` is a crash."""
        self._run("pg_ctl", "-D", self.data, "-w", "-t", str(SECONDS), "-m", mode, "stop")

    def promote(self) -> None:
        """Makes a primary of a replica, with a new timeline."""
        self._run("pg_ctl", "-D", self.data, "-w", "-t", str(SECONDS), "promote")

    def take_place_of(self, other: "Cluster") -> None:
        """Listens where another cluster that is closed has listened."""
        other._folder.mkdir()
        self._own(other._folder)
        self.stop()
        self._socket = other._folder
        self.start()

    def url(self, database: str = "postgres") -> DatabaseUrl:
        """Returns the URL of a database."""
        found = parse_location(f"postgresql://postgres@/{database}?host={self._socket}")
        assert isinstance(found, DatabaseUrl)
        return found

    def new_database(self, *, migrated: bool = True) -> DatabaseUrl:
        """Returns the URL of a new database, with the tables of the store or empty."""
        name = f"d{secrets.token_hex(6)}"
        self.execute(f"CREATE DATABASE {name}")
        if migrated:
            migrate(self.url(name))
        return self.url(name)

    def execute(self, sql: str, *parameters: object, url: DatabaseUrl | None = None) -> Sequence[tuple[object, ...]]:
        """Runs a statement as the superuser; returns its rows."""
        with psycopg.connect((url or self.url()).url, autocommit=True) as connection:
            cursor = connection.execute(sql.encode(), parameters)
            return cursor.fetchall() if cursor.description else []

    def close(self) -> None:
        """Stops it and removes it."""
        if (self.data / "postmaster.pid").exists():
            self.stop("immediate")
        for folder in (self._folder, self._socket):
            shutil.rmtree(folder, ignore_errors=True)

    def _own(self, path: Path) -> None:
        if os.geteuid() == 0:
            for each in (path, *path.rglob("*")):
                shutil.chown(each, USER)

    def _run(self, program: str, *arguments: str | Path) -> None:
        command: list[str | Path] = [self._programs / program, *arguments]
        if os.geteuid() == 0:
            command = ["setpriv", f"--reuid={USER}", "--clear-groups", *command]
        # Not a pipe: the server would keep it open.
        with tempfile.TemporaryFile() as output:
            done = subprocess.run(command, check=False, stdout=output, stderr=output, cwd="/", timeout=2 * SECONDS)
            output.seek(0)
            log = self._folder / "log"
            said = output.read().decode(errors="replace") + (log.read_text(errors="replace") if log.exists() else "")
        assert done.returncode == 0, said


def make_newer(url: DatabaseUrl) -> None:
    """Makes the schema look like one that a newer version has made, and that only it can use."""
    with psycopg.connect(url.url) as connection:
        connection.execute("INSERT INTO chaja.migrations VALUES (%s)", (VERSION + 1,))
        connection.execute("UPDATE chaja.facts SET value = %s WHERE name = 'oldest_schema'", (str(VERSION + 1),))


def end_connections(cluster: Cluster, url: DatabaseUrl) -> int:
    """Ends the connections to a database; returns their number."""
    name = url.name.rpartition("/")[2]
    query = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = %s"
    ((count,),) = cluster.execute(query, name)
    assert isinstance(count, int)
    until = time.monotonic() + 20
    while cluster.execute("SELECT 1 FROM pg_stat_activity WHERE datname = %s", name):
        assert time.monotonic() < until
    return count
