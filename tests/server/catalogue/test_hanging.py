"""Tests of a store in PostgreSQL when another server, or PostgreSQL, hangs."""

import contextlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from server.catalogue.databases.postgresql import connection
from server.catalogue.databases.postgresql.connection import STREAMED_ROWS
from server.catalogue.location import DatabaseUrl
from server.catalogue.store import Store
from server.errors import StoreUnavailable
from tests.postgresql import Cluster
from tests.server.catalogue.stores import REVISION, document, put, vectors


@pytest.fixture
def store(url: DatabaseUrl) -> Iterator[Store]:
    with contextlib.closing(Store(url)) as store:
        yield store


def test_a_writer_that_hangs_blocks_the_others_for_a_bounded_time(
    url: DatabaseUrl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "IDLE_SECONDS", 1)
    with contextlib.closing(Store(url)) as hanging, contextlib.closing(Store(url)) as other:
        hanging_write = hanging.write()
        transaction = hanging_write.__enter__()
        transaction.put(document("a"), vectors(), revision=REVISION)
        assert put(other, "b") == [1], "PostgreSQL ends the transaction that hangs"
        with pytest.raises(StoreUnavailable):
            hanging_write.__exit__(None, None, None)
        assert hanging.get("a") is None
        assert put(hanging, "c") == [2]


def test_the_reader_of_one_state_may_take_its_time(url: DatabaseUrl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "IDLE_SECONDS", 1)
    with contextlib.closing(Store(url)) as store:
        put(store, *(f"{number}" for number in range(2 * STREAMED_ROWS)))
        changes = store.log(0, REVISION)
        first = next(changes)
        time.sleep(1.5)  # It encodes what it has read.
        assert [first.sequence, *(each.sequence for each in changes)] == list(range(1, 2 * STREAMED_ROWS + 1))


def test_a_wait_for_the_end_of_the_log_is_bounded(url: DatabaseUrl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "LOCK_SECONDS", 1)
    with contextlib.closing(Store(url)) as first, contextlib.closing(Store(url)) as other:
        with first.write() as transaction:
            transaction.put(document("a"), vectors(), revision=REVISION)
            with pytest.raises(StoreUnavailable, match="lock timeout"):
                put(other, "b")
        assert put(other, "b") == [2]


def test_waiting_for_a_database_that_hangs_can_be_ended(cluster: Cluster, url: DatabaseUrl, store: Store) -> None:
    def read() -> None:
        with store.reading() as connection:
            connection.execute("SELECT pg_sleep(300)")

    def write() -> None:
        with store.write() as transaction:
            transaction.connection.execute("SELECT pg_sleep(300)")

    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(read), pool.submit(write)]
        query = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
        until = time.monotonic() + 20
        while len(cluster.execute(query, url=url)) < 2:
            assert time.monotonic() < until
        store.interrupt()
        for each in waiting:
            with pytest.raises(StoreUnavailable):
                each.result(timeout=20)
    with pytest.raises(StoreUnavailable, match="shutting down"):
        read()
