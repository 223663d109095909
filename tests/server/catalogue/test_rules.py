"""Tests that the store keeps rules: their contents, versions, and the digests of their files."""

import contextlib

import pytest

from server.catalogue.location import Location
from server.catalogue.rules import RuleKind, StoredRule
from server.catalogue.store import Store
from server.errors import DatabaseDamaged
from tests.server.catalogue.stores import execute, put

KIND = RuleKind.SYNONYM


def test_rules_have_sequences_as_documents_do(location: Location) -> None:
    with contextlib.closing(Store(location)) as store:
        put(store, "a")
        with store.write() as transaction:
            assert [transaction.put_rule(KIND, id, b"x") for id in ("b", "a")] == [2, 3]
            assert transaction.put_rule(KIND, "b", b"y") == 4
        assert store.rules(KIND) == [StoredRule("a", 3, b"x"), StoredRule("b", 4, b"y")]
        assert put(store, "c") == [5]


def test_a_deleted_rule_is_gone_and_its_sequence_is_not_used_again(location: Location) -> None:
    with contextlib.closing(Store(location)) as store, store.write() as transaction:
        transaction.put_rule(KIND, "a", b"x")
        assert transaction.delete_rule(KIND, "a") == 2
        assert transaction.rule(KIND, "a") == (0, None)
        assert transaction.rule_ids(KIND) == []
    with contextlib.closing(Store(location)) as again:
        again.verify()
        assert (again.sequence, again.rules(KIND)) == (2, [])
        with again.write() as transaction:
            assert transaction.put_rule(KIND, "a", b"z") == 3
        assert again.rules(KIND) == [StoredRule("a", 3, b"z")]


def test_rules_are_read_in_pages_by_id(location: Location) -> None:
    with contextlib.closing(Store(location)) as store:
        with store.write() as transaction:
            for number in range(5):
                transaction.put_rule(KIND, f"{number}", b"")
        pages, after = [], ""
        while page := store.rules(KIND, after_id=after, limit=2):
            pages.append([rule.id for rule in page])
            after = page[-1].id
        assert pages == [["0", "1"], ["2", "3"], ["4"]]


def test_digests_of_a_file_are_kept_for_its_kind(location: Location) -> None:
    with contextlib.closing(Store(location)) as store:
        with store.write() as transaction:
            transaction.record_rule_file(KIND, {"a": b"1", "b": b"2"}, [])
        with store.write() as transaction:
            transaction.record_rule_file(KIND, {"a": b"3"}, ["b"])
        assert store.rule_file_digests(KIND) == {"a": b"3"}


def test_a_changed_byte_of_a_rule_is_detected(location: Location) -> None:
    with contextlib.closing(Store(location)) as store:
        with store.write() as transaction:
            transaction.put_rule(KIND, "a", b"x")
        execute(store, "UPDATE rules SET content = ?", b"y")
    with contextlib.closing(Store(location, serving=False)) as store:
        with pytest.raises(DatabaseDamaged, match=r" is damaged \(the checksum of version 1 is wrong\)"):
            store.rules(KIND)
        with pytest.raises(DatabaseDamaged, match="version 1"):
            store.verify()
