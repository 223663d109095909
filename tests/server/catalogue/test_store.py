import contextlib
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from server import commands
from server.catalogue import store as store_module
from server.catalogue.catalogue import load_catalogue
from server.catalogue.changes import Change, Stored
from server.catalogue.document import AttributeValue, Document, content_of
from server.catalogue.location import Location, text_of
from server.catalogue.partial import Fields
from server.catalogue.store import Store
from server.errors import DatabaseDamaged
from tests.server.catalogue.stores import REVISION, document, execute, put, vectors


def delete(store: Store, id: str) -> int:
    with store.write() as transaction:
        return transaction.delete(id)


def fetched(store: Store, sequence: int) -> tuple[Document, NDArray[np.int32]]:
    return store.fetch([sequence], REVISION)[sequence]


def test_a_reopened_store_has_all_documents(store: Store, location: Location) -> None:
    assert put(store, "a", "b c", "\U0001f600") == [1, 2, 3]
    store.close()
    with contextlib.closing(Store(location)) as again:
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


def test_after_a_failed_read_the_newest_state_is_read(store: Store) -> None:
    put(store, "a", "b", "c")
    execute(store, "UPDATE documents SET checksum = checksum + 1 WHERE id = 'a'")
    with pytest.raises(DatabaseDamaged) as held:
        store.page("", 2)
    put(store, "new")
    assert store.get("new") is not None
    assert len(store.live_sequences()) == 4
    assert held.traceback, "the error still holds its cursor"


def test_threads_read_concurrently_while_one_writes(store: Store) -> None:
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


@given(st.lists(st.tuples(st.sampled_from(["put", "delete", "fail"]), st.sampled_from("abcd")), max_size=30))
@settings(max_examples=30, deadline=None)
def test_the_store_behaves_like_a_dictionary_that_counts_its_changes(
    new_location: Callable[[], Location], steps: list[tuple[str, str]]
) -> None:
    with contextlib.closing(Store(new_location(), durable=False)) as store:
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


@pytest.mark.parametrize(
    ("change", "parameters"),
    [
        ("UPDATE vectors SET spans = ? WHERE sequence = 1", [bytes(24)]),
        ("UPDATE vectors SET spans = ? WHERE sequence = 1", [bytes(1)]),
        ("UPDATE vectors SET spans_checksum = spans_checksum + 1 WHERE sequence = 1", []),
    ],
)
def test_altered_spans_are_detected_when_a_version_is_fetched(
    store: Store, change: str, parameters: list[bytes]
) -> None:
    put(store, "a", "b")
    execute(store, change, *parameters)
    with pytest.raises(DatabaseDamaged, match="checksum of version 1"):
        store.fetch([1], REVISION)
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


def test_large_numbers_are_stored_unchanged(store: Store, location: Location, tmp_path: Path) -> None:
    numbers: dict[str, AttributeValue] = {"a": 1e19, "b": 1e300, "c": [-1e19, 2.0, 0.5], "d": 2.0**53, "e": 2.0**63}
    large = Document(id="a", title="환율", attributes=numbers)
    with store.write() as transaction:
        transaction.put(large, vectors(), revision=REVISION)
    stored = store.get("a")
    assert stored is not None
    assert stored.document == large
    assert content_of(stored.document) == content_of(large)
    file = tmp_path / "c.jsonl"
    commands.run(["export-catalogue", "--data", text_of(location), "--to", str(file)])
    (again,) = load_catalogue(file)
    assert again == large
    assert content_of(again) == content_of(large)


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
    assert store.fetch([1], REVISION, wanted)[1][0] == expected


def test_a_page_has_chosen_versions_that_have_been_replaced_or_deleted_since(store: Store) -> None:
    chosen = put(store, "d", "a", "c", "b", "e")
    put(store, "c", "f")
    with store.write() as transaction:
        transaction.delete("b")
    among = np.array(sorted(chosen))
    assert [each.document.id for each in store.page("", 9, among=among)] == ["a", "b", "c", "d", "e"]
    assert [(each.document.id, each.version) for each in store.page("a", 2, among=among)] == [("b", 4), ("c", 3)]
    assert store.page("", 9, among=among[:0]) == []
