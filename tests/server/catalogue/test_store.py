import contextlib
import os
import sqlite3
import tempfile
import threading
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from server import commands
from server.catalogue import database
from server.catalogue import store as store_module
from server.catalogue.catalogue import load_catalogue
from server.catalogue.changes import Change, Stored
from server.catalogue.database import DATABASE, back_up, locked, restore
from server.catalogue.document import AttributeValue, Document, content_of
from server.catalogue.partial import Fields
from server.catalogue.store import Store
from server.errors import DatabaseDamaged, StoreError
from tests.server.catalogue.stores import REVISION, document, execute, put, vectors


def delete(store: Store, id: str) -> int:
    with store.write() as transaction:
        return transaction.delete(id)


def fetched(store: Store, sequence: int) -> tuple[Document, NDArray[np.int32]]:
    found = store.fetch(sequence, REVISION)
    assert found is not None
    return found


def open_files(directory: Path) -> list[Path]:
    links = [each.readlink() for each in Path("/proc/self/fd").iterdir() if each.exists()]
    return [each for each in links if each.is_relative_to(directory)]


def test_a_reopened_store_has_all_documents(store: Store, tmp_path: Path) -> None:
    assert put(store, "a", "b c", "\U0001f600") == [1, 2, 3]
    store.close()
    with contextlib.closing(Store(tmp_path)) as again:
        assert (len(again), again.sequence, again.id) == (3, 3, store.id)
        stored = again.get("b c")
        assert stored is not None
        assert (stored.document, stored.version) == (document("b c"), 2)
        assert [each.sequence for each in again.after(1, REVISION)] == [2, 3]
        read = next(again.after(0, REVISION))
        assert read.vectors is not None
        np.testing.assert_array_equal(read.vectors.matrix, vectors().matrix)
        np.testing.assert_array_equal(read.vectors.spans, vectors().spans)
        assert next(again.after(0, "another model")).vectors is None


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


def test_after_a_failed_read_the_newest_state_is_read(store: Store, tmp_path: Path) -> None:
    put(store, "a", "b", "c")
    with contextlib.closing(sqlite3.connect(tmp_path / DATABASE)) as other, other:
        other.execute("UPDATE documents SET checksum = checksum + 1 WHERE id = 'a'")
    with pytest.raises(DatabaseDamaged) as held:
        store.page("", 2)
    put(store, "new")
    assert store.get("new") is not None
    assert len(store.live_sequences()) == 4
    assert held.traceback, "the error still holds its cursor"


def test_threads_read_concurrently_while_one_writes(store: Store, tmp_path: Path) -> None:
    put(store, *(str(number) for number in range(50)))
    all_there = threading.Barrier(9)
    found: list[bool] = []

    def read(first: int) -> None:
        all_there.wait(20)
        for number in range(200):
            id = str((first + number) % 50)
            stored = store.get(id)
            found.append(stored is not None and stored.document.id == id)
            found.append([each.document.id for each in store.page("", 3)] == ["0", "1", "10"])

    threads = [threading.Thread(target=read, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    all_there.wait(20)
    for number in range(20):
        put(store, f"new {number}")
        assert len(store) == 51 + number
    for thread in threads:
        thread.join()
    assert found == [True] * 8 * 2 * 200
    assert open_files(tmp_path).count(tmp_path / DATABASE) <= 1 + 9, "one for the writer and each reader"


def test_a_replaced_version_can_be_fetched_until_the_store_is_closed(store: Store, tmp_path: Path) -> None:
    put(store, "a", title="old")
    put(store, "a", title="new")
    assert fetched(store, 1)[0].title == {"ko": "old"}
    assert store.live_sequences().tolist() == [2]
    assert len(store) == 1
    store.close()
    with contextlib.closing(Store(tmp_path)) as again:
        assert again.fetch(1, REVISION) is None
        assert again.sequence == 2


@given(st.lists(st.tuples(st.sampled_from(["put", "delete", "fail"]), st.sampled_from("abcd")), max_size=30))
@settings(max_examples=30, deadline=None)
def test_the_store_behaves_like_a_dictionary_that_counts_its_changes(steps: list[tuple[str, str]]) -> None:
    with tempfile.TemporaryDirectory() as folder, contextlib.closing(Store(Path(folder), durable=False)) as store:
        known: dict[str, int] = {}
        changed: dict[str, int] = {}
        sequence = 0
        for step, id in steps:
            if step == "put":
                sequence += 1
                assert put(store, id) == [sequence]
                known[id] = changed[id] = sequence
            elif step == "delete" and id in known:
                sequence += 1
                assert delete(store, id) == sequence
                del known[id]
                changed[id] = sequence
            elif step == "fail":
                with contextlib.suppress(ZeroDivisionError), store.write() as transaction:
                    transaction.put(document(id), vectors(), revision=REVISION)
                    transaction.delete(id)
                    raise ZeroDivisionError
        assert store.sequence == sequence
        assert store.live_sequences().tolist() == sorted(known.values())
        assert [each.document.id for each in store.page("", 10)] == sorted(known)
        in_order = sorted(changed.items(), key=lambda change: change[1])
        changes = [Change(number, id, document(id) if id in known else None) for id, number in in_order]
        assert store.changes(0, 100) == changes
        assert store.changes(2, 1) == [change for change in changes if change.sequence > 2][:1]


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
            backup = back_up(store.directory)
            modes = {path.name: path.stat().st_mode & 0o777 for path in [store.directory, *store.directory.rglob("*")]}
        restore(store.directory, backup)
        modes["restored"] = (store.directory / DATABASE).stat().st_mode & 0o777
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


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE vectors SET spans = zeroblob(24) WHERE sequence = 1",
        "UPDATE vectors SET spans = x'00' WHERE sequence = 1",
        "UPDATE vectors SET spans_checksum = spans_checksum + 1 WHERE sequence = 1",
    ],
)
def test_altered_spans_are_detected_when_a_version_is_fetched(store: Store, change: str) -> None:
    put(store, "a", "b")
    execute(store, change)
    with pytest.raises(DatabaseDamaged, match="checksum of version 1"):
        store.fetch(1, REVISION)
    np.testing.assert_array_equal(fetched(store, 2)[1], vectors().spans)
    with pytest.raises(DatabaseDamaged):
        store.verify()


def test_replaced_versions_are_purged_in_portions(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(6):
        put(store, "a", "b", title=f"{number}")
    delete(store, "b")
    assert store.purge(limit=4) == 0, "searches may still fetch them"
    assert store.purge(limit=4, everything=True) == 4
    monkeypatch.setattr("server.catalogue.store.RETIRED_SECONDS", -1.0)
    assert [store.purge(limit=4) for _ in range(3)] == [4, 3, 0]
    assert store.purge(limit=4, everything=True) == 0
    assert (len(store), store.sequence, store.live_sequences().tolist()) == (1, 13, [11])
    for rows in ("SELECT sequence FROM documents", "SELECT sequence FROM vectors"):
        assert execute(store, rows) == [(11,)]
    assert fetched(store, 11)[0].title == {"ko": "5"}
    store.verify()


def test_large_numbers_are_stored_unchanged(store: Store, tmp_path: Path) -> None:
    numbers: dict[str, AttributeValue] = {"a": 1e19, "b": 1e300, "c": [-1e19, 2.0, 0.5], "d": 2.0**53, "e": 2.0**63}
    large = Document(id="a", title="환율", attributes=numbers)
    with store.write() as transaction:
        transaction.put(large, vectors(), revision=REVISION)
    stored = store.get("a")
    assert stored is not None
    assert stored.document == large
    assert content_of(stored.document) == content_of(large)
    file = tmp_path / "c.jsonl"
    commands.run(["export-catalogue", "--data", str(tmp_path), "--to", str(file)])
    (again,) = load_catalogue(file)
    assert again == large
    assert content_of(again) == content_of(large)


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


@pytest.mark.parametrize("max_bytes", [1, 5_000, 25_000, 1_000_000])
def test_large_documents_are_read_in_portions_of_some_bytes(
    store: Store, monkeypatch: pytest.MonkeyPatch, max_bytes: int
) -> None:
    monkeypatch.setattr(store_module, "READ_BYTES", max_bytes)
    for number in range(10):
        put(store, f"{number}", title="x" * 10_000)
        put(store, f"deleted {number}")
        delete(store, f"deleted {number}")
    changes: list[Change] = []
    while portion := store.changes(changes[-1].sequence if changes else 0, 1000, max_bytes=max_bytes):
        written = [each for each in portion if each.document is not None]
        assert len(written) <= max(1, max_bytes // 10_000)
        changes += portion
    assert [each.sequence for each in changes] == sorted(each.sequence for each in changes)
    assert [each.id for each in changes] == [id for number in range(10) for id in (f"{number}", f"deleted {number}")]
    found: list[Stored] = []
    while page := store.page(found[-1].document.id if found else "", 1000):
        assert len(page) <= max(1, max_bytes // 10_000)
        found += page
    assert [each.document.id for each in found] == [f"{number}" for number in range(10)]
    assert [each.document.id for each in store.after(0, REVISION)] == [f"{number}" for number in range(10)]


def test_some_fields_of_documents_can_be_read(store: Store) -> None:
    put(store, "a")
    wanted = Fields(frozenset(["attributes"]), frozenset(["n"]))
    expected = Document(id="a", attributes={"n": 1})
    stored = store.get("a", wanted)
    assert stored is not None
    assert stored.document == expected
    assert store.page("", 10, fields=wanted)[0].document == expected
    assert store.changes(0, 10, fields=wanted)[0].document == expected
    for_hit = store.fetch(1, REVISION, wanted)
    assert for_hit is not None
    assert for_hit[0] == expected
