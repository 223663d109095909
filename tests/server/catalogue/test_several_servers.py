"""Tests of several servers that use one database of PostgreSQL at the same time."""

import contextlib
import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from server.catalogue.location import DatabaseUrl
from server.catalogue.store import Store
from server.errors import StoreUnavailable
from tests.postgresql import Cluster, end_connections
from tests.server.catalogue.stores import REVISION, put, vectors


@pytest.fixture
def store(url: DatabaseUrl) -> Iterator[Store]:
    with contextlib.closing(Store(url)) as store:
        yield store


def test_the_changes_of_several_servers_have_one_order(url: DatabaseUrl, store: Store) -> None:
    with contextlib.closing(Store(url)) as other:
        assert [put(store, "a"), put(other, "b", "c"), put(store, "a")] == [[1], [2, 3], [4]]
        assert other.sequence == 3
        assert [other.has_sequence(4), other.has_sequence(5)] == [True, False]
        assert other.sequence == 4
        changes = list(other.log(1, "none"))
        assert [each.sequence for each in changes] == [2, 3, 4]


def test_a_server_is_told_of_the_changes_of_another_one(cluster: Cluster, url: DatabaseUrl, store: Store) -> None:
    assert store.wait_for_change(0.01) == 0
    with contextlib.closing(Store(url)) as other:
        assert put(other, "a", "b") == [1, 2]
        assert store.wait_for_change(10) == 2
        assert store.wait_for_change(0.01) == 0
        end_connections(cluster, url)
        with pytest.raises(StoreUnavailable):
            store.wait_for_change(10)
        assert store.wait_for_change(0.01) == 0, "it is connected again"
        assert put(other, "c") == [3]
        assert store.wait_for_change(10) == 3


def test_maintenance_does_not_wait_for_a_writer(url: DatabaseUrl, store: Store) -> None:
    put(store, "a")
    with contextlib.closing(Store(url)) as other, store.write(), other.maintenance() as transaction:
        transaction.use_vectors("revision")
    assert store.unused_revisions(60) == []
    assert "revision" in store.unused_revisions(-60)


def test_one_process_at_a_time_does_a_work(url: DatabaseUrl, store: Store) -> None:
    with contextlib.closing(Store(url)) as other:
        with store.alone("learn") as first, other.alone("learn") as second, other.alone("encode") as third:
            assert (first, second, third) == (True, False, True)
        with other.alone("learn") as later:
            assert later


def test_servers_that_store_the_same_vectors_at_the_same_time_wait_for_each_other(url: DatabaseUrl) -> None:
    with contextlib.closing(Store(url)) as store:
        sequences = put(store, *(f"{number}" for number in range(1500)))

    def write(seed: int) -> None:
        chosen = random.Random(seed)
        with contextlib.closing(Store(url)) as store:
            for _ in range(20):
                count = chosen.choice([3, 40, 300, 1500])
                first = chosen.randrange(len(sequences) - count + 1)
                with store.maintenance() as transaction:
                    for sequence in sequences[first : first + count]:
                        transaction.put_vectors(sequence, vectors(), revision="other")

    with ThreadPoolExecutor() as pool:
        assert list(pool.map(write, range(4))) == [None] * 4


def test_a_server_goes_on_to_delete_vectors_after_another_one_has_deleted_the_same(url: DatabaseUrl) -> None:
    with contextlib.closing(Store(url)) as one, contextlib.closing(Store(url)) as two:
        put(one, *(f"{number}" for number in range(20)))

        def forget() -> bool:
            with two.maintenance() as transaction:
                return transaction.forget_vectors(REVISION, limit=10)

        with ThreadPoolExecutor() as pool:
            with one.maintenance() as transaction:
                assert transaction.forget_vectors(REVISION, limit=10)
                other = pool.submit(forget)
                time.sleep(0.5)  # It waits for the end of this transaction.
            assert other.result()
        assert forget()
        assert not forget()
