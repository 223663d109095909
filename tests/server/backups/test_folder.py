import contextlib
import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.backups.folder import BackupFolder
from server.catalogue.database import back_up
from server.catalogue.store import Store
from server.errors import StoreError
from tests.server.catalogue.stores import directory_of, put

NOW = 1_796_000_000.0
DAY = 86400.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    (tmp_path / "data").mkdir()
    with contextlib.closing(Store(tmp_path / "data", durable=False)) as store:
        put(store, "a")
        yield store


@pytest.fixture
def folder(tmp_path: Path, store: Store) -> BackupFolder:
    (tmp_path / "backups").mkdir()
    return BackupFolder(tmp_path / "backups", store.id)


def made(folder: BackupFolder, store: Store, *days: int) -> list[Path]:
    return [back_up(directory_of(store), folder.new_path(NOW + day * DAY)) for day in days]


def test_names_sort_by_time_and_suit_any_file_system(folder: BackupFolder) -> None:
    names = [folder.new_path(NOW + hours * 3599.0).name for hours in range(1000)]
    assert names == sorted(names)
    assert len(set(names)) == 1000
    assert not set("".join(names)) & set('<>:"/\\|?* ')


def test_the_newest_backup_is_found_with_its_time_and_size(folder: BackupFolder, store: Store) -> None:
    assert folder.newest(NOW) is None
    paths = made(folder, store, 2, 0, 1)
    newest = folder.newest(NOW + 3 * DAY)
    assert newest == (paths[0], NOW + 2 * DAY, paths[0].stat().st_size)


def test_a_backup_from_the_future_does_not_count(folder: BackupFolder, store: Store) -> None:
    _, first = made(folder, store, 400, 0)
    newest = folder.newest(NOW + DAY)
    assert newest is not None
    assert newest.path == first
    folder.remove_old(1, first)
    assert first.exists(), "it is the one that was just made"


def test_other_things_with_the_name_of_a_backup_do_not_count(
    folder: BackupFolder, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    first, *others = made(folder, store, 0, 1, 2, 3, 4)
    for path in others:
        path.unlink()
    others[0].mkdir()
    os.mkfifo(others[1])
    others[2].symlink_to(folder.path / "missing")
    invalid = first.with_name(first.name.replace(first.name[6:14], "20261399"))
    shutil.copy(first, invalid)
    newest = folder.newest(NOW + 9 * DAY)
    assert newest is not None
    assert newest.path == first
    assert len([each for each in caplog.records if "is not a whole backup" in each.getMessage()]) == 4


def test_a_file_that_was_cut_short_does_not_count(
    folder: BackupFolder, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    first, cut, empty, text = made(folder, store, 0, 1, 2, 3)
    os.truncate(cut, cut.stat().st_size - 4096)
    os.truncate(empty, 0)
    text.write_bytes(b"a note of someone" * 1000)
    for _ in range(2):
        newest = folder.newest(NOW + 9 * DAY)
        assert newest is not None
        assert newest.path == first
    assert len([each for each in caplog.records if "is not a whole backup" in each.getMessage()]) == 3
    folder.remove_old(1, first)
    assert all(path.exists() for path in (first, cut, empty, text)), "only whole backups are counted or removed"


@pytest.mark.parametrize("keep", [1, 2, 5])
def test_only_the_newest_backups_of_this_store_are_kept(
    folder: BackupFolder, store: Store, tmp_path: Path, keep: int
) -> None:
    (tmp_path / "other").mkdir()
    with contextlib.closing(Store(tmp_path / "other", durable=False)) as other:
        theirs = made(BackupFolder(folder.path, other.id), other, -9, -8)
    ours = made(folder, store, 0, 1, 2, 3)
    foreign = [back_up(directory_of(store), folder.path / name) for name in ("mine.sqlite", f"x{ours[0].name}")]
    folder.remove_old(keep, ours[-1])
    assert [path for path in ours if path.exists()] == ours[-keep:]
    assert all(path.exists() for path in (*theirs, *foreign))


def test_what_a_killed_server_left_is_removed_when_the_directory_is_locked(folder: BackupFolder, store: Store) -> None:
    whole = made(folder, store, 0)[0]
    name = folder.new_path(NOW).name
    left = [folder.path / f"{name}.k2j3{suffix}" for suffix in (".unfinished", ".unfinished-journal")]
    theirs = folder.path / f"{name.replace(store.id[:12], 'f' * 12)}.k2j3.unfinished"
    foreign = folder.path / "download.unfinished"
    for path in (*left, theirs, foreign):
        path.write_bytes(b"part")
    folder.lock()
    assert not any(path.exists() for path in left)
    assert all(path.exists() for path in (whole, theirs, foreign))
    folder.unlock()


def test_a_server_with_a_copy_of_the_store_cannot_use_the_directory(folder: BackupFolder, store: Store) -> None:
    folder.lock()
    folder.lock()
    copy = BackupFolder(folder.path, store.id)
    with pytest.raises(StoreError, match="another server, with a copy of this store"):
        copy.lock()
    BackupFolder(folder.path, "another id").lock()
    folder.unlock()
    copy.lock()
    copy.unlock()


def test_a_directory_that_was_made_again_is_locked_again(folder: BackupFolder, store: Store) -> None:
    folder.lock()
    folder.path.rename(folder.path.with_name("moved"))
    with pytest.raises(StoreError, match="backups does not exist: create it, or mount its disk"):
        folder.lock()
    folder.path.mkdir()
    folder.lock()
    with pytest.raises(StoreError, match="another server"):
        BackupFolder(folder.path, store.id).lock()
    folder.unlock()


def test_a_file_system_without_locks_is_used_without(
    folder: BackupFolder, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    folder.lock()
    assert made(folder, store, 0)[0].exists()
    folder.unlock()


def test_a_file_in_the_place_of_the_directory_is_named(tmp_path: Path, store: Store) -> None:
    (tmp_path / "file").touch()
    folder = BackupFolder(tmp_path / "file", store.id)
    message = "file cannot be used: Not a directory; choose one"
    with pytest.raises(StoreError, match=message):
        folder.lock()
    with pytest.raises(StoreError, match=message):
        folder.newest(NOW)


def test_the_folder_of_backups_in_the_store_is_made(tmp_path: Path, store: Store) -> None:
    folder = BackupFolder(directory_of(store) / "backups", store.id, make=True)
    folder.lock()
    assert folder.path.stat().st_mode & 0o777 == 0o700
    folder.unlock()
