"""Tests of transactions of many changes, which are written together."""

import contextlib
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from server.catalogue import pending
from server.catalogue import transaction as transaction_module
from server.catalogue.databases.postgresql.connection import PostgresqlConnection
from server.catalogue.location import DatabaseUrl, Location
from server.catalogue.rules import RuleKind
from server.catalogue.store import Store
from server.catalogue.transaction import Transaction
from tests.server.catalogue.stores import REVISION, document, execute, put, vectors

Step = tuple[str, str, str]
"""A kind of change, the id of a document, and its title."""

Request = tuple[list[Step], bool]
"""Changes, and whether they are rolled back."""

steps = st.tuples(st.sampled_from(["put", "put", "delete", "rule"]), st.sampled_from("ab"), st.sampled_from("xy"))
requests = st.lists(st.tuples(st.lists(steps, min_size=1, max_size=4), st.booleans()), min_size=2, max_size=8)

A_TWICE: list[Request] = [([("put", "a", "x"), ("put", "a", "y"), ("put", "b", "x"), ("delete", "b", "")], False)] * 4
HALF: list[Request] = [
    ([("put", "a", "x"), ("put", "b", "x")], False),
    ([("put", "a", "y"), ("delete", "b", "")], True),
]
HALF_WRITTEN: list[Request] = [HALF[0], ([("put", "a", "y"), ("rule", "b", "x"), ("delete", "b", "")], True)]


def perform(transaction: Transaction, changes: Sequence[Step], *, fails: bool = False) -> None:
    """Makes changes together, or rolls them back."""
    with contextlib.suppress(ZeroDivisionError), transaction.together():
        for kind, id, title in changes:
            if kind == "put" and not transaction.holds(document(id, title)):
                version = transaction.put(document(id, title), vectors(ord(title)), revision=title)
                assert transaction.version(id) == version
                assert transaction.holds(document(id, title))
            elif kind == "delete" and transaction.version(id):
                transaction.delete(id)
                assert transaction.sequences_of([id, "no"]) == {}
            elif kind == "rule":
                transaction.put_rule(RuleKind.SYNONYM, id, title.encode())
        if fails:
            raise ZeroDivisionError


def tables(store: Store) -> list[list[tuple[object, ...]]]:
    return [
        execute(store, query)
        for query in (
            "SELECT sequence, id, retired_seconds IS NULL, checksum, content FROM documents ORDER BY 1",
            "SELECT sequence, id FROM deletions ORDER BY 1",
            "SELECT sequence, r.revision, spans_checksum, matrix_checksum, spans, matrix "
            "FROM vectors v JOIN revisions r ON r.number = v.revision ORDER BY 1",
            "SELECT sequence, kind, id, content FROM rules ORDER BY 1",
        )
    ]


@example(A_TWICE, pending.MOST_BYTES)
@example([*HALF, *HALF], pending.MOST_BYTES)
@example([*HALF, *HALF_WRITTEN, *HALF, HALF_WRITTEN[1], *HALF], pending.MOST_BYTES)
@example([*HALF, *HALF_WRITTEN, *HALF, HALF_WRITTEN[1], *HALF], 100)
@given(requests, st.sampled_from([0, 100, pending.MOST_BYTES]))
@settings(max_examples=30, deadline=None)
def test_requests_in_one_transaction_write_the_same_as_each_change_in_its_own(
    new_location: Callable[[], Location], works: list[Request], most_bytes: int
) -> None:
    with (
        contextlib.closing(Store(new_location(), durable=False)) as together,
        contextlib.closing(Store(new_location(), durable=False)) as alone,
        pytest.MonkeyPatch.context() as patched,
    ):
        patched.setattr(transaction_module, "MOST_BYTES", most_bytes)
        for half in (works[: len(works) // 2], works[len(works) // 2 :]):
            added, retired = [], []
            for changes, fails in half:
                for change in [] if fails else changes:
                    with alone.write() as one:
                        perform(one, [change])
                    added += one.added
                    retired += one.retired
            with together.write() as transaction:
                transaction.read_versions("a")
                for changes, fails in half:
                    perform(transaction, changes, fails=fails)
            assert [each[:2] for each in transaction.added] == [each[:2] for each in added]
            assert transaction.retired == retired
            assert together.sequence == alone.sequence
            assert tables(together) == tables(alone)
        together.verify()


def test_a_damaged_document_is_not_held(store: Store) -> None:
    put(store, "a", "b")
    execute(store, "UPDATE documents SET content = ? WHERE id = 'a'", b"{}")
    execute(store, "UPDATE documents SET checksum = checksum + 1 WHERE id = 'b'")
    with store.write() as transaction:
        assert [transaction.holds(document(id)) for id in "abc"] == [False] * 3


def test_the_last_vectors_of_a_version_count_and_those_of_purged_versions_are_left_out(store: Store) -> None:
    put(store, "a")
    with store.write() as transaction:
        for value in (2.0, 3.0):
            for sequence in (1, 7):
                transaction.put_vectors(sequence, vectors(value), revision="other")
        transaction.put_vectors(1, vectors(4.0, count=2), revision=REVISION)
    assert execute(store, "SELECT count(*) FROM vectors") == [(2,)]
    for revision, expected in (("other", vectors(3.0)), (REVISION, vectors(4.0, count=2))):
        found = store.versioned(["a"], revision)["a"].vectors
        assert found is not None
        np.testing.assert_array_equal(found.matrix, expected.matrix)
        np.testing.assert_array_equal(found.spans, expected.spans)


def test_ids_of_versions_are_those_of_live_documents_in_order(store: Store) -> None:
    put(store, "a", "b", "c")
    with store.write() as transaction:
        transaction.put(document("b", "new"), vectors(), revision=REVISION)
        assert list(transaction.ids_of([3, 2, 9, 1, 4]).items()) == [(3, "c"), (1, "a"), (4, "b")]
        assert transaction.ids_of([]) == {}


def test_many_documents_are_written_and_found(store: Store) -> None:
    ids = [f"{number}" for number in range(1234)]
    assert put(store, *ids) == list(range(1, 1235))
    with store.write() as transaction:
        transaction.read_versions(ids)
        assert all(transaction.holds(document(id)) for id in ids)
        assert transaction.sequences_of([*ids, "none"]) == {id: number for number, id in enumerate(ids, start=1)}
    assert store.sequences_of([*ids, "none"]) == {id: number for number, id in enumerate(ids, start=1)}


@pytest.mark.parametrize("count", [1, 100])
def test_postgresql_is_asked_four_times_whatever_the_number_of_documents(
    url: DatabaseUrl, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    asked: list[str] = []

    def watched(method: Callable[..., object]) -> Callable[..., object]:
        def ask(connection: PostgresqlConnection, statement: str, *rest: object) -> object:
            asked.append(statement)
            return method(connection, statement, *rest)

        return ask

    monkeypatch.setattr(PostgresqlConnection, "execute", watched(PostgresqlConnection.execute))
    monkeypatch.setattr(PostgresqlConnection, "script", watched(PostgresqlConnection.script))
    with contextlib.closing(Store(url)) as store:
        put(store, "before")
        asked.clear()
        ids = [f"{number}" for number in range(count)]
        with store.write() as transaction:
            transaction.read_versions(ids)
            for id in ids:
                with transaction.together():
                    assert not transaction.holds(document(id))
                    transaction.put(document(id), vectors(), revision=REVISION)
    assert [statement.split()[0] for statement in asked] == ["BEGIN;", "SELECT", "WITH", "EXECUTE"]
