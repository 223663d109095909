"""Scheduled backups of a server that serves: what they hold, what a restart, a kill, a stop and a fault leave."""

import contextlib
import os
import resource
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import chaja
from chaja.v1 import Document, LocalizedText, Mode, SearchRequest, Upsert, UpsertDocumentsRequest
from sample.server_process import ServerProcess, running_server
from tests.conftest import SAMPLE_CATALOGUE, server_flags
from tests.integration.scraping import Samples, scrape, scrape_until, value
from tests.integration.serving import run_server, start_error, wait_for_line, wait_until

# Backups run at the lowest priority: while other tests keep all cores busy, one takes many times as long as alone.
pytestmark = pytest.mark.timeout(900)
LONGEST_WAIT_SECONDS = 300

DAY = "86400"


class Place:
    """The directories of a server with scheduled backups."""

    def __init__(self, tmp_path: Path, bundle: Path) -> None:
        self.bundle, self.data, self.backups = bundle, tmp_path / "data", tmp_path / "backups"
        self.backups.mkdir()

    @contextlib.contextmanager
    def server(self, every_seconds: str, *flags: str) -> Iterator[ServerProcess]:
        own = ["--data", str(self.data), "--backup-directory", str(self.backups)]
        own += ["--backup-every-seconds", every_seconds]
        with running_server(server_flags(self.bundle, SAMPLE_CATALOGUE, *own, *flags)) as server:
            yield server
        assert not [line for line in server.lines if "Traceback" in line]

    @property
    def files(self) -> list[Path]:
        return sorted(self.backups.glob("*.sqlite"))

    @property
    def unfinished(self) -> list[Path]:
        return list(self.backups.glob("*.unfinished*"))


@pytest.fixture
def place(tmp_path: Path, tiny_bundle: Path) -> Place:
    return Place(tmp_path, tiny_bundle)


def command(*arguments: str | Path) -> str:
    """Runs a command of the server; returns what it prints."""
    run = run_server(*map(str, arguments))
    assert run.returncode == 0, run.stderr
    return run.stdout


def write(server: ServerProcess, *titles: str) -> None:
    with chaja.connect(server.address) as client:
        upserts = [Upsert(document=Document(id=title, titles=[LocalizedText(text=title)])) for title in titles]
        results = client.catalog.UpsertDocuments(UpsertDocumentsRequest(upserts=upserts)).results
        assert not [each.error.message for each in results if each.HasField("error")]


def made(server: ServerProcess, count: int = 1) -> Samples:
    """Waits until the server has made some backups; returns its metrics."""
    return scrape_until(
        server.metrics_url,
        lambda found: value(found, "chaja_backups_total", result="ok") >= count,
        seconds=LONGEST_WAIT_SECONDS,
    )


def test_backups_on_schedule_are_kept_verified_and_equal_to_the_store(place: Place, tmp_path: Path) -> None:
    with place.server("1", "--backup-keep", "2") as server:
        write(server, "written before the backup")
        count = value(made(server), "chaja_backups_total", result="ok")
        samples = made(server, int(count) + 2)  # The last one began after the write.
        assert len(place.files) <= 3, "two are kept, and one may be new"
        assert value(samples, "chaja_backups_total", result="failed") == 0
        assert value(samples, "chaja_backup_interval_seconds") == 1
        assert value(samples, "chaja_backup_bytes") > 0
        assert value(samples, "chaja_backup_seconds_count") >= 3
    newest, drill = place.files[-1], tmp_path / "drill"
    command("restore", "--data", drill, "--from", newest)
    assert "is intact" in command("check", "--data", drill)
    restored, stored = (command("export-catalogue", "--data", each) for each in (drill, place.data))
    assert restored == stored
    assert "written before the backup" in restored
    flags = server_flags(place.bundle, SAMPLE_CATALOGUE, "--data", str(drill))
    with running_server(flags) as server, chaja.connect(server.address) as client:
        request = SearchRequest(query="written before the backup", limit=1, mode=Mode.MODE_LEXICAL)
        hits = client.search.Search(request).hits
        assert hits[0].document_id == "written before the backup"


def test_a_restart_knows_the_newest_backup_and_snapshot_and_a_damaged_store_where_they_are(place: Place) -> None:
    with place.server(DAY) as server:
        before = made(server)
    (only,) = place.files
    with place.server(DAY) as server:
        names = ("chaja_backup_timestamp_seconds", "chaja_snapshot_timestamp_seconds")
        after = scrape_until(server.metrics_url, lambda found: all(value(found, name) for name in names))
        assert value(after, names[0]) == value(before, names[0])
        assert value(after, "chaja_backup_bytes") == only.stat().st_size
        assert 0 <= time.time() - value(after, names[1]) < 600
        assert value(after, "chaja_backups_total", result="ok") == 0
    assert place.files == [only], "the next one is not due"
    database = place.data / "catalogue.sqlite"
    content = bytearray(database.read_bytes())
    content[4096:12288] = bytes(8192)
    database.write_bytes(content)
    flags = ("--data", place.data, "--backup-directory", place.backups, "--backup-every-seconds", DAY)
    line = start_error(place.bundle, *flags)
    assert line.startswith(f"server: error: {database} is damaged")
    assert line.endswith(f"the scheduled backups are in {place.backups}")


def test_without_settings_no_backup_is_reported(tiny_server: ServerProcess) -> None:
    samples = scrape(tiny_server.metrics_url)
    for name in ("backup_timestamp_seconds", "backup_bytes", "backup_interval_seconds", "snapshot_timestamp_seconds"):
        assert value(samples, f"chaja_{name}") == 0


def test_a_missing_and_a_full_disk_are_named_while_writes_go_on(place: Place) -> None:
    def failed(server: ServerProcess, count: float) -> Samples:
        return scrape_until(
            server.metrics_url,
            lambda found: value(found, "chaja_backups_total", result="failed") >= count,
            seconds=LONGEST_WAIT_SECONDS,
        )

    place.backups.rename(place.backups.with_name("unmounted"))
    with place.server("1", "--backup-keep", "1") as server:
        samples = failed(server, 2)
        assert value(samples, "chaja_backup_timestamp_seconds") == 0
        wait_for_line(server, f"the backup failed: {place.backups} does not exist: create it, or mount its disk")
        write(server, "a")
        assert not place.backups.exists(), "it would be on the disk below the missing one"
        place.backups.mkdir()
        samples = made(server)
        resize(server, place.files[0].stat().st_size // 2)
        failed(server, value(samples, "chaja_backups_total", result="failed") + 1)
        wait_for_line(server, "the backup failed: the backup", "cannot be written", "free some of its disk")
        (earlier,) = place.files
        resize(server, -1)
        wait_until(lambda: not earlier.exists(), seconds=LONGEST_WAIT_SECONDS)
        assert place.files, "a newer one has replaced it"


def resize(server: ServerProcess, file_bytes: int) -> None:
    """Limits the size of the files that a server's later processes write; -1 removes the limit."""
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (file_bytes, -1))


def children(pid: int) -> list[int]:
    """Returns the processes that a server has started to make backups."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            found += [int(child) for child in (task / "children").read_text().split()]
    return [each for each in found if b"server.backups.process" in _command_line(each)]


def _command_line(pid: int) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def stopped_backup(place: Place, server: ServerProcess) -> int:
    """Stops the process of a backup, with SIGSTOP, when it has written a part; returns its id.

    It runs for a moment at a time, so that it cannot finish unnoticed. If it has, the next backup is tried.
    """

    def run_for_a_moment(pid: int) -> bool:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
            if place.unfinished:
                return True
            os.kill(pid, signal.SIGCONT)
        return False

    found: list[int] = []

    def caught() -> bool:
        found[:] = [pid for pid in children(server.process.pid) if run_for_a_moment(pid)]
        return bool(found)

    wait_until(caught, seconds=LONGEST_WAIT_SECONDS)
    return found[0]


def test_neither_a_kill_nor_a_stop_during_a_backup_leaves_a_part_under_the_name_of_one(place: Place) -> None:
    with place.server("1") as server:
        backup = stopped_backup(place, server)
        whole = place.files
        server.process.kill()
        server.process.wait()
        os.kill(backup, signal.SIGCONT)  # It ends with the server.
        wait_until(lambda: not _command_line(backup))
    left = place.unfinished  # None if the backup was complete before it noticed the end of the server.
    assert len(place.files) == len(whole) + (not left)  # SQLite's journal of a part may be left, too.
    with place.server("1") as server:
        wait_until(lambda: not any(each.exists() for each in left))
        stopped_backup(place, server)  # It would never end.
        whole = place.files
        assert server.stop() == 0
    assert not place.unfinished
    assert place.files == whole
    for path in whole:
        command("restore", "--data", place.data.with_name("restored"), "--from", path)
