"""Tests of a store in a directory: its files, backups, locks and versions."""

import contextlib
import os
import sqlite3
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from server import commands
from server.catalogue import database
from server.catalogue.database import DATABASE, back_up, locked, restore
from server.catalogue.document import Document
from server.catalogue.store import Store
from server.errors import DatabaseDamaged, StoreError
from tests.server.catalogue.stores import REVISION, directory_of, document, put, vectors


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with contextlib.closing(Store(tmp_path)) as store:
        yield store


def fetched(store: Store, sequence: int) -> tuple[Document, NDArray[np.int32]]:
    return store.fetch([sequence], REVISION)[sequence]


def open_files(directory: Path) -> list[Path]:
    links = [each.readlink() for each in Path("/proc/self/fd").iterdir() if each.exists()]
    return [each for each in links if each.is_relative_to(directory)]


def test_ended_threads_leave_no_files_open(store: Store, tmp_path: Path) -> None:
    put(store, "a")

    assert store.get("a") is not None
    before = len(open_files(tmp_path))
    found: list[object] = []
    for _ in range(20):
        thread = threading.Thread(target=lambda: found.append(store.get("a")))
        thread.start()
        thread.join()
    assert len(found) == 20
    assert None not in found
    assert len(open_files(tmp_path)) == before


def test_a_replaced_version_can_be_fetched_until_the_store_is_closed(store: Store, tmp_path: Path) -> None:
    put(store, "a", title="old")
    put(store, "a", title="new")
    assert fetched(store, 1)[0].title == {"ko": "old"}
    assert store.live_sequences().tolist() == [2]
    assert len(store) == 1
    store.close()
    with contextlib.closing(Store(tmp_path)) as again:
        assert not again.fetch([1], REVISION)
        assert again.sequence == 2


def test_a_database_of_another_program_is_rejected(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / DATABASE)
    connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    with pytest.raises(StoreError, match="another program"):
        Store(tmp_path)


def test_the_error_of_a_newer_schema_mentions_possible_damage(store: Store, tmp_path: Path) -> None:
    backup = back_up(tmp_path)
    store.close()
    with contextlib.closing(sqlite3.connect(tmp_path / DATABASE)) as connection:
        connection.execute("PRAGMA user_version = 1073741825")
    with pytest.raises(StoreError, match=f"newer version of Chaja .*or is damaged: .*{backup.name}"):
        Store(tmp_path)


def test_a_backup_is_made_while_others_write(store: Store, tmp_path: Path) -> None:
    put(store, "a")
    with store.write() as transaction:
        transaction.put(document("b"), vectors(), revision=REVISION)
        backup = back_up(tmp_path, tmp_path / "copy.sqlite")
    copy = sqlite3.connect(backup)
    assert copy.execute("SELECT id FROM documents").fetchall() == [("a",)]
    copy.close()


def test_only_a_backup_is_restored(store: Store, tmp_path: Path) -> None:
    put(store, "a")
    store.close()
    (tmp_path / "junk").write_bytes(b"junk" * 1_000_000)
    tracemalloc.start()
    for name in ("junk", "missing"):
        with pytest.raises(StoreError, match=name):
            restore(tmp_path, tmp_path / name)
    assert tracemalloc.get_traced_memory()[1] < 1_000_000, "a backup is not read into memory"
    tracemalloc.stop()
    with contextlib.closing(Store(tmp_path)) as again:
        assert again.get("a") is not None


def test_only_the_owner_can_access_the_files_of_the_store(tmp_path: Path) -> None:
    umask = os.umask(0)
    try:
        with locked(tmp_path / "data"), contextlib.closing(Store(tmp_path / "data")) as store:
            put(store, "a")
            backup = back_up(directory_of(store))
            data = tmp_path / "data"
            modes = {path.name: path.stat().st_mode & 0o777 for path in [data, *data.rglob("*")]}
        restore(data, backup)
        modes["restored"] = (data / DATABASE).stat().st_mode & 0o777
    finally:
        os.umask(umask)
    assert {name for name, mode in modes.items() if mode == 0o700} == {"data", "backups"}
    assert set(modes.values()) == {0o600, 0o700}, modes


def test_a_second_server_cannot_use_the_directory(tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(StoreError, match=r"another server uses .*: stop it"), locked(tmp_path):
        pass
    with locked(tmp_path):
        pass


def test_a_database_locked_by_another_program_is_not_reported_as_damaged(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, "a")
    store.close()
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.1)
    with contextlib.closing(Store(tmp_path)) as again:
        with contextlib.closing(sqlite3.connect(tmp_path / DATABASE, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreError, match="is locked by another program") as raised:
                put(again, "b")
            assert not isinstance(raised.value, DatabaseDamaged)
            assert again.get("a") is not None, "reading still works"
            other.execute("ROLLBACK")
        assert put(again, "b") == [2]
        put(again, "b")
    with contextlib.closing(sqlite3.connect(tmp_path / DATABASE, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreError, match="is locked by another program") as raised:
            Store(tmp_path)
        assert not isinstance(raised.value, DatabaseDamaged)
        other.execute("ROLLBACK")
    with contextlib.closing(Store(tmp_path)) as last:
        assert (len(last), last.sequence) == (2, 3)


def test_restoring_twice_keeps_both_earlier_databases(store: Store, tmp_path: Path) -> None:
    put(store, "first")
    backup = back_up(tmp_path, tmp_path / "copy.sqlite")
    put(store, "before the first")
    store.close()
    restore(tmp_path, backup)
    with contextlib.closing(Store(tmp_path)) as again:
        put(again, "before the second")
    restore(tmp_path, backup)
    kept = []
    for path in tmp_path.glob("replaced-*.sqlite"):
        with contextlib.closing(sqlite3.connect(path)) as connection:
            kept.append({row[0] for row in connection.execute("SELECT id FROM documents")})
    assert sorted(kept, key=sorted) == [{"before the first", "first"}, {"before the second", "first"}]
    with contextlib.closing(Store(tmp_path)) as last:
        assert [each.document.id for each in last.page("", 9)] == ["first"]


def test_a_backup_never_replaces_a_file(store: Store, tmp_path: Path) -> None:
    put(store, "a")
    (tmp_path / "other").write_text("mine")
    for place in (tmp_path / DATABASE, tmp_path / "other"):
        with pytest.raises(StoreError, match="already exists"):
            back_up(tmp_path, place)
        with pytest.raises(StoreError, match="already exists"):
            commands.run(["export-catalogue", "--data", str(tmp_path), "--to", str(place)])
    assert (tmp_path / "other").read_text() == "mine"
    put(store, "b")
    assert len({back_up(tmp_path) for _ in range(5)}) == 5, "backups in quick succession have different names"
    assert not list(tmp_path.rglob("*.unfinished"))


@pytest.mark.parametrize("wanted", [b"XXXXXXXXXXXXXXXX", np.full(4, 7, dtype="<f4").tobytes()])
def test_a_changed_row_is_neither_backed_up_nor_restored(store: Store, tmp_path: Path, wanted: bytes) -> None:
    """SQLite's integrity check does not detect it: every page and index is intact."""
    with store.write() as transaction:
        transaction.put(document("a", title="XXXXXXXXXXXXXXXX"), vectors(7), revision=REVISION)
    backup = back_up(tmp_path, tmp_path / "copy.sqlite")
    store.close()
    for path in (backup, tmp_path / DATABASE):
        content = bytearray(path.read_bytes())
        content[content.index(wanted) + 3] ^= 1
        path.write_bytes(content)
    with pytest.raises(StoreError, match="is not an intact backup"):
        restore(tmp_path, backup)
    with pytest.raises(DatabaseDamaged, match="checksum"):
        back_up(tmp_path)
    assert not list((tmp_path / "backups").iterdir())
