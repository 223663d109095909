"""Tests of a store in PostgreSQL whose database is replaced by a replica, by a copy, or by another log."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.catalogue.databases.postgresql import database
from server.catalogue.databases.postgresql.connection import PostgresqlConnection
from server.catalogue.databases.postgresql.head import read_head
from server.catalogue.databases.postgresql.losses import accept_losses
from server.catalogue.databases.postgresql.migrating import migrate
from server.catalogue.location import DatabaseUrl
from server.catalogue.store import Store
from server.errors import ChangesLost, StoreError, StoreUnavailable
from tests.postgresql import Cluster, end_connections, programs
from tests.server.catalogue.stores import execute, lose, put


@pytest.fixture
def store(url: DatabaseUrl) -> Iterator[Store]:
    with contextlib.closing(Store(url)) as store:
        yield store


@contextlib.contextmanager
def lost_primary() -> Iterator[tuple[Store, Cluster, DatabaseUrl]]:
    """Yields a store, the replica that has taken the place of its lost primary without change 3, and their URL."""
    with contextlib.ExitStack() as stack:
        primary = Cluster()
        stack.callback(primary.close)
        url = primary.new_database()
        store = stack.enter_context(contextlib.closing(Store(url)))
        assert put(store, "a", "b") == [1, 2]
        primary.stop()
        replica = Cluster(copy_of=primary, standby=True)
        stack.callback(replica.close)
        primary.start()
        assert put(store, "lost") == [3]
        primary.close()
        replica.take_place_of(primary)
        yield store, replica, url


def test_a_failover_that_lost_changes_is_detected_and_never_served() -> None:
    with lost_primary() as (store, replica, url):
        replica.promote()
        for use in (store.refresh, lambda: store.get("a"), lambda: put(store, "c"), lambda: len(store)):
            with pytest.raises(ChangesLost, match="has not had change 3, which was acknowledged"):
                use()
        with pytest.raises(ChangesLost, match="has not had change 3, which was acknowledged"):
            Store(url)  # It has not seen change 3, but knows that another one has.
        assert accept_losses(url) == 2
        assert accept_losses(url) is None
        with contextlib.closing(Store(url)) as fresh:
            assert (fresh.sequence, len(fresh), fresh.id) == (2, 2, store.id)
            assert not fresh.has_sequence(3)
            (first,) = put(fresh, "c")
            assert 3 < first < 2**53
            assert [fresh.has_sequence(number) for number in (2, 3, first - 1, first)] == [True, False, False, True]
            assert put(fresh, "d") == [first + 1]
        for use in (store.refresh, lambda: put(store, "e")):  # Its change 3 now lies within a gap.
            with pytest.raises(ChangesLost):
                use()
        Store(url).close()


def test_a_server_that_was_connected_before_a_failover_does_not_repeat_sequences() -> None:
    with lost_primary() as (store, replica, url), contextlib.ExitStack() as stack:
        late = stack.enter_context(contextlib.closing(Store(url)))
        with pytest.raises(StoreUnavailable, match="is read-only"):
            put(late, "c")
        replica.promote()  # Connections last longer.
        assert put(late, "c") > [3]
        with pytest.raises(ChangesLost, match="has not had change 3"):
            store.get("lost")


def test_a_replica_that_catches_up_while_it_is_promoted_has_lost_nothing(
    url: DatabaseUrl, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, "a", "b")
    with contextlib.closing(PostgresqlConnection(url)) as connection:
        heads = [read_head(connection)] * 2
    heads[0] = heads[0]._replace(sequence=1)
    monkeypatch.setattr(database, "read_head", lambda _: heads.pop(0))
    store.refresh()
    assert heads == []


def test_a_server_that_has_not_seen_the_lost_changes_does_not_serve_either(url: DatabaseUrl, store: Store) -> None:
    put(store, "a", "b")
    with contextlib.closing(Store(url)) as late:
        lose(url, 3, 4)
        for use in (late.refresh, lambda: put(late, "c"), lambda: late.get("a")):
            with pytest.raises(ChangesLost, match="has not had change 4"):
                use()
    accept_losses(url)
    lose(url, 3, 5)  # A server that was paused finds the same loss later.
    assert put(store, "c") > [5], "the sequences of lost changes are not repeated"
    assert [store.has_sequence(number) for number in (2, 3, 5)] == [True, False, False]
    lose(url, store.sequence + 1)
    with pytest.raises(ChangesLost, match=f"has not had change {store.sequence + 1}"):
        Store(url)


def test_a_failover_that_lost_nothing_goes_on() -> None:
    with contextlib.ExitStack() as stack:
        primary = Cluster()
        stack.callback(primary.close)
        store = Store(primary.new_database())
        stack.callback(store.close)
        assert put(store, "a", "b") == [1, 2]
        primary.stop()
        replica = Cluster(copy_of=primary, standby=True)
        stack.callback(replica.close)
        primary.close()
        replica.take_place_of(primary)
        assert store.get("a") is not None, "a replica can be read"
        with pytest.raises(StoreUnavailable, match="is read-only"):
            put(store, "c")
        replica.promote()
        assert put(store, "c") > [3]
        assert [store.has_sequence(number) for number in (2, 3)] == [True, False]
        assert [each.document.id for each in store.page("", 9)] == ["a", "b", "c"]


def test_a_restored_dump_continues_above_all_that_was_acknowledged(cluster: Cluster, url: DatabaseUrl) -> None:
    with contextlib.closing(Store(url)) as store:
        put(store, "a")
    copy = f"copy_{url.name.rpartition('/')[2]}"
    cluster.execute(f"CREATE DATABASE {copy} TEMPLATE {url.name.rpartition('/')[2]}")
    with contextlib.closing(Store(url)) as store:
        assert put(store, "b") == [2]
    with contextlib.closing(Store(cluster.url(copy))) as restored:
        assert not restored.has_sequence(2)
        assert put(restored, "c") > [2]
        assert not restored.has_sequence(2)


def test_a_dump_restored_in_the_same_database_does_not_repeat_sequences(url: DatabaseUrl, tmp_path: Path) -> None:
    with contextlib.closing(Store(url)) as store:
        put(store, "a")
        dump = tmp_path / "dump"
        subprocess.run([programs() / "pg_dump", "-Fc", "-f", dump, url.url], check=True)
        assert put(store, "lost") == [2]
    subprocess.run([programs() / "pg_restore", "--clean", "-d", url.url, dump], check=True)
    with contextlib.closing(Store(url)) as restored:
        (second,) = put(restored, "b")
        assert second > 2
        assert [restored.has_sequence(number) for number in (1, 2, second)] == [True, False, True]
        assert put(restored, "c") == [second + 1]


def test_a_loss_that_cannot_be_recorded_yet_is_recorded_later(cluster: Cluster, url: DatabaseUrl, store: Store) -> None:
    """`pg_restore` makes the keys of tables last."""
    put(store, "a", "lost")
    cluster.execute("ALTER TABLE chaja.lost_changes DROP CONSTRAINT lost_changes_pkey", url=url)
    cluster.execute("UPDATE chaja.log SET sequence = 1", url=url)
    for use in (store.refresh, lambda: store.wait_for_change(0)):
        with pytest.raises(ChangesLost):
            use()
    cluster.execute("ALTER TABLE chaja.lost_changes ADD PRIMARY KEY (first)", url=url)
    with pytest.raises(ChangesLost):
        store.wait_for_change(0)
    with pytest.raises(ChangesLost, match="has not had change 2"):
        Store(url)


def test_the_log_of_another_store_in_the_same_place_is_not_used(
    cluster: Cluster, url: DatabaseUrl, store: Store
) -> None:
    put(store, "a")
    execute(store, "DROP SCHEMA chaja CASCADE")
    end_connections(cluster, url)
    with pytest.raises(StoreError, match="has no tables"):
        put(store, "b")
    migrate(url)
    for use in (store.refresh, lambda: put(store, "b"), lambda: store.get("a")):
        with pytest.raises(ChangesLost, match="another log"):
            use()
