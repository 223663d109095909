import contextlib
import shutil
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from server.backups import schedule as schedule_module
from server.backups.folder import BackupFolder
from server.backups.schedule import BackupSchedule
from server.catalogue.database import DATABASE, back_up, restore
from server.catalogue.store import Store
from server.metrics.store import BackupMetrics
from tests.server.catalogue.stores import put

# Backups run at the lowest priority: while other tests keep all cores busy, one takes many times as long as alone.
pytestmark = pytest.mark.timeout(900)
LONGEST_WAIT_SECONDS = 300

DAY = 86400


class Backups:
    """A store, and the schedules of its backups, one after the other as a server restarts."""

    def __init__(self, tmp_path: Path) -> None:
        self.data, self.path = tmp_path / "data", tmp_path / "backups"
        self.data.mkdir(parents=True)
        self.path.mkdir()
        self.store = Store(self.data, durable=False)
        self.folder = BackupFolder(self.path, self.store.id)
        self.registry = CollectorRegistry()

    def value(self, name: str, **labels: str) -> float:
        value = self.registry.get_sample_value(name, labels)
        assert value is not None
        return value

    def counted(self, result: str) -> float:
        return self.value("chaja_backups_total", result=result)

    @property
    def files(self) -> list[Path]:
        return sorted(self.path.glob("*.sqlite"))

    @contextlib.contextmanager
    def running(self, every_seconds: int = DAY, *, keep: int = 7, allowed: bool = True) -> Iterator[BackupSchedule]:
        self.registry = CollectorRegistry()
        metrics = BackupMetrics(self.registry)
        running = BackupSchedule(self.data, self.store.id, self.path, metrics, every_seconds=every_seconds, keep=keep)
        running.start()
        if allowed:
            running.allow()
        try:
            yield running
        finally:
            running.stop()
        assert not running._thread.is_alive()


@pytest.fixture
def backups(tmp_path: Path) -> Iterator[Backups]:
    made = Backups(tmp_path)
    with contextlib.closing(made.store):
        put(made.store, "a")
        yield made


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule_module, "CHECK_SECONDS", 0.05)
    monkeypatch.setattr(schedule_module, "RETRY_SECONDS", 0.05)


def until(condition: Callable[[], object]) -> None:
    ends = time.monotonic() + LONGEST_WAIT_SECONDS
    while not condition():
        assert time.monotonic() < ends, "the condition did not become true"
        time.sleep(0.01)


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.levelname == "ERROR"]


def test_a_first_backup_is_made_verified_and_reported(backups: Backups) -> None:
    with backups.running():
        until(lambda: backups.counted("ok"))
    (path,) = backups.files
    assert time.time() - 120 < backups.value("chaja_backup_timestamp_seconds") <= time.time()
    assert backups.value("chaja_backup_bytes") == path.stat().st_size
    assert backups.value("chaja_backup_seconds_count") == 1
    assert backups.value("chaja_backup_seconds_sum") > 0
    assert backups.value("chaja_backup_interval_seconds") == DAY
    assert path.stat().st_mode & 0o777 == 0o600
    backups.store.close()
    restore(backups.data, path)
    with contextlib.closing(Store(backups.data)) as restored:
        assert restored.get("a") is not None


def test_a_restart_reports_the_newest_backup_and_makes_none_before_it_is_due(backups: Backups) -> None:
    back_up(backups.data, backups.folder.new_path(time.time() - DAY / 2))
    for _ in range(3):
        with backups.running():
            until(lambda: backups.value("chaja_backup_timestamp_seconds"))
            time.sleep(0.2)
            age_seconds = time.time() - backups.value("chaja_backup_timestamp_seconds")
            assert DAY / 2 <= age_seconds < DAY / 2 + 300
        assert len(backups.files) == 1
        assert backups.counted("ok") == backups.counted("failed") == 0


def test_a_restart_makes_the_backup_that_was_due_meanwhile(backups: Backups) -> None:
    back_up(backups.data, backups.folder.new_path(time.time() - DAY - 1))
    with backups.running():
        until(lambda: backups.counted("ok"))
    assert len(backups.files) == 2


def test_a_removed_backup_is_no_longer_reported_and_is_made_again(backups: Backups) -> None:
    first = back_up(backups.data, backups.folder.new_path(time.time() - DAY / 2))
    with backups.running():
        until(lambda: backups.value("chaja_backup_timestamp_seconds"))
        first.unlink()
        until(lambda: backups.counted("ok"))
    (again,) = backups.files
    assert again != first


def test_no_backup_is_made_while_the_server_loads(backups: Backups) -> None:
    old = time.time() - 2 * DAY
    back_up(backups.data, backups.folder.new_path(old))
    with backups.running(allowed=False) as running:
        until(lambda: backups.value("chaja_backup_timestamp_seconds"))
        time.sleep(0.2)
        assert len(backups.files) == 1
        running.allow()
        until(lambda: backups.counted("ok"))


def test_backups_are_made_at_the_interval_and_old_ones_removed(backups: Backups) -> None:
    with backups.running(1, keep=2):
        until(lambda: backups.counted("ok") >= 3)
    assert len(backups.files) == 2
    assert backups.counted("failed") == 0


def test_a_missing_directory_fails_and_is_tried_again(backups: Backups, caplog: pytest.LogCaptureFixture) -> None:
    backups.path.rename(backups.path.with_name("unmounted"))
    with backups.running():
        until(lambda: backups.counted("failed") >= 3)
        backups.path.mkdir()
        until(lambda: backups.counted("ok"))
        backups.path.rename(backups.path.with_name("unmounted again"))
        failed = backups.counted("failed")
        until(lambda: backups.counted("failed") > failed)
        backups.path.mkdir()
        until(lambda: backups.counted("ok") == 2)
    first = messages(caplog)[0]
    assert first.startswith(f"the backup failed: {backups.path} does not exist: create it, or mount its disk; the next")
    assert "\n" not in first


def test_a_damaged_store_is_not_backed_up_and_earlier_backups_stay(
    backups: Backups, caplog: pytest.LogCaptureFixture
) -> None:
    earlier = back_up(backups.data, backups.folder.new_path(time.time() - 2 * DAY))
    with backups.store.write() as transaction:
        transaction.delete("a")
    put(backups.store, "b", title="XXXXXXXXXXXXXXXX")
    backups.store.close()
    database = backups.data / DATABASE
    content = bytearray(database.read_bytes())
    content[content.rindex(b"XXXXXXXXXXXXXXXX") + 3] ^= 1
    database.write_bytes(content)
    with backups.running(keep=1):
        until(lambda: backups.counted("failed") >= 2)
    assert backups.files == [earlier]
    assert not list(backups.path.glob("*.unfinished*"))
    assert "is damaged (the checksum of version" in messages(caplog)[0]


def test_pauses_after_failures_double_up_to_a_bound(
    backups: Backups, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedule_module, "RETRY_SECONDS", 10.0)
    running = BackupSchedule(
        backups.data, backups.store.id, backups.path, BackupMetrics(CollectorRegistry()), every_seconds=DAY, keep=1
    )
    pauses = [running._failed(OSError("a fault"), 0.0) for _ in range(2000)]
    assert pauses[:8] == [10, 20, 40, 80, 160, 320, 600, 600]
    assert set(pauses[8:]) == {600}
    assert len(caplog.records) == 2000


def test_a_copy_of_the_store_is_refused_the_directory(backups: Backups, caplog: pytest.LogCaptureFixture) -> None:
    with backups.running():
        until(lambda: backups.counted("ok"))
        shutil.copytree(backups.data, backups.data.with_name("copy"))
        registry = CollectorRegistry()
        copy = BackupSchedule(
            backups.data.with_name("copy"), backups.store.id, backups.path, BackupMetrics(registry),
            every_seconds=1, keep=1,
        )  # fmt: skip
        copy.start()
        copy.allow()
        until(lambda: registry.get_sample_value("chaja_backups_total", {"result": "failed"}))
        copy.stop()
    assert "another server, with a copy of this store" in messages(caplog)[0]
    assert len(backups.files) == 1


def test_two_stores_share_a_directory(backups: Backups, tmp_path: Path) -> None:
    other = Backups(tmp_path / "other")
    other.path = backups.path
    with contextlib.closing(other.store), backups.running(1, keep=1), other.running(1, keep=1):
        until(lambda: backups.counted("ok") >= 2 and other.counted("ok") >= 2)
    # A stop may come before the last removal, so that a store has two.
    assert {path.stem[-12:] for path in backups.files} == {each.store.id[:12] for each in (backups, other)}


def test_a_stop_ends_a_backup_that_waits_and_leaves_no_file(backups: Backups) -> None:
    with contextlib.closing(sqlite3.connect(backups.data / DATABASE, isolation_level=None)) as other:
        backups.store.close()
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")  # The backup waits for its end.
        with backups.running() as running:
            until(lambda: running._process)
            process = running._process
            assert process is not None
        assert process.returncode == -signal.SIGKILL
    assert [path.suffix for path in backups.path.iterdir()] == [".lock"]
    assert backups.counted("ok") == backups.counted("failed") == 0


def test_writes_go_on_during_a_backup_which_is_a_whole_state_of_the_store(backups: Backups) -> None:
    put(backups.store, *(str(number) for number in range(300)), title="x" * 2000)
    during = 0
    with backups.running(1, keep=100) as running:
        while during < 5 or backups.counted("ok") < 2:
            before = running._process
            put(backups.store, "first", "second")  # In one transaction.
            during += before is not None and before is running._process
            time.sleep(0.02)
    backups.store.close()
    restore(backups.data, backups.files[-1])
    with contextlib.closing(Store(backups.data)) as restored:
        versions = [stored.version for id in ("first", "second") if (stored := restored.get(id)) is not None]
        assert versions[1] == versions[0] + 1
        assert len(restored) == 303


def test_backups_on_the_disk_of_the_store_are_warned_of(backups: Backups, caplog: pytest.LogCaptureFixture) -> None:
    with backups.running():
        until(lambda: backups.counted("ok"))
    assert f"{backups.path} is on the file system of --data" in caplog.text
