"""Tests of a store in PostgreSQL whose database has other settings, tables, rights, or another encoding."""

import contextlib
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from server.catalogue.databases.postgresql.migrating import VERSION, migrate
from server.catalogue.location import DatabaseUrl, parse_location, text_of
from server.catalogue.store import Store
from server.errors import StoreError, StoreUnavailable
from tests.postgresql import Cluster
from tests.server.catalogue.stores import execute, put


def setting(cluster: Cluster, name: str, value: str) -> DatabaseUrl:
    """Returns the URL of a database without tables, whose sessions begin with a setting."""
    url = cluster.new_database(migrated=False)
    cluster.execute(f"ALTER DATABASE {url.name.rpartition('/')[2]} SET {name} = '{value}'")
    return url


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
def test_servers_write_at_the_same_time_at_any_default_isolation(cluster: Cluster, level: str) -> None:
    url = setting(cluster, "default_transaction_isolation", level)
    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(migrate, [url] * 4)) == [(0, VERSION)] + [(VERSION, VERSION)] * 3

    def write(name: str) -> None:
        with contextlib.closing(Store(url)) as store:
            for number in range(20):
                put(store, f"{name} {number}")

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(write, "abc"))
    with contextlib.closing(Store(url)) as store:
        assert (len(store), store.sequence) == (60, 60)


def test_a_session_of_another_encoding_reads_and_writes_all_texts(cluster: Cluster) -> None:
    url = setting(cluster, "client_encoding", "latin1")
    migrate(url)
    with contextlib.closing(Store(url)) as store:
        put(store, "é가", title="환율")
        assert store.get("é가") is not None


@pytest.mark.parametrize(("mode", "used"), [("off", "on"), ("local", "on"), ("remote_apply", "remote_apply")])
def test_a_commit_waits_for_the_disk_and_a_synchronous_replica(cluster: Cluster, mode: str, used: str) -> None:
    url = setting(cluster, "synchronous_commit", mode)
    migrate(url)
    with contextlib.closing(Store(url)) as store:
        assert execute(store, "SELECT current_setting('synchronous_commit')") == [(used,)]


def test_a_long_statement_is_not_cancelled(cluster: Cluster) -> None:
    url = setting(cluster, "statement_timeout", "100ms")
    migrate(url)
    with contextlib.closing(Store(url)) as store, store.reading() as connection:
        connection.execute("SELECT pg_sleep(0.3)")


def test_an_idle_session_is_not_ended(cluster: Cluster) -> None:
    if not cluster.execute("SELECT 1 FROM pg_settings WHERE name = 'idle_session_timeout'"):
        pytest.skip("PostgreSQL has it from version 14 on")
    url = setting(cluster, "idle_session_timeout", "100ms")
    migrate(url)
    with contextlib.closing(Store(url)) as store:
        assert store.wait_for_change(0.01) == 0
        time.sleep(0.3)
        assert store.wait_for_change(0.01) == 0


def test_a_database_of_another_encoding_is_refused(cluster: Cluster) -> None:
    cluster.execute("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0")
    with pytest.raises(StoreError, match="has the encoding LATIN1: make a database with the encoding UTF8"):
        migrate(cluster.url("latin"))


def test_the_tables_of_another_program_stay(cluster: Cluster) -> None:
    url = cluster.new_database(migrated=False)
    cluster.execute("CREATE SCHEMA chaja", url=url)
    cluster.execute("CREATE TABLE chaja.documents AS SELECT 1 AS n", url=url)
    with pytest.raises(StoreError, match=r'has tables of another program .*"documents".*, or name another database'):
        migrate(url)
    assert cluster.execute("SELECT n FROM chaja.documents", url=url) == [(1,)]


def test_an_empty_log_is_no_other_log(cluster: Cluster, url: DatabaseUrl) -> None:
    """`pg_restore` makes all tables before it fills one."""
    with contextlib.closing(Store(url)) as store:
        put(store, "a")
        cluster.execute("CREATE TABLE kept AS SELECT * FROM chaja.log", url=url)
        cluster.execute("DELETE FROM chaja.log", url=url)
        for use in (store.refresh, lambda: put(store, "b"), lambda: Store(url)):
            with pytest.raises(StoreUnavailable, match="has an empty log"):
                use()
        cluster.execute("INSERT INTO chaja.log SELECT * FROM kept", url=url)
        assert put(store, "b") == [2]


def test_a_user_whose_rights_are_taken_away_is_told_so(cluster: Cluster, url: DatabaseUrl) -> None:
    role = f"writer_{url.name.rpartition('/')[2]}"
    cluster.execute(f"CREATE ROLE {role} LOGIN")
    cluster.execute(f"GRANT USAGE ON SCHEMA chaja TO {role}", url=url)
    cluster.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA chaja TO {role}", url=url)
    with contextlib.closing(Store(parse_location(text_of(url).replace("postgres@", f"{role}@")))) as store:
        put(store, "a")
        cluster.execute(f"REVOKE ALL ON chaja.documents FROM {role}", url=url)
        for use in (lambda: store.get("a"), lambda: put(store, "b")):
            with pytest.raises(StoreUnavailable, match=r"refuses access .*documents.*: grant it"):
                use()
