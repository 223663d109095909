"""Tests of the migrations of a database in PostgreSQL, also under servers of an older version."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from server.catalogue.databases.postgresql import database, losses, migrating
from server.catalogue.databases.postgresql.migrating import VERSION, migrate
from server.catalogue.location import DatabaseUrl
from server.catalogue.store import Store
from server.errors import DatabaseDamaged, StoreError, StoreUnavailable
from tests.postgresql import Cluster, end_connections, make_newer
from tests.server.catalogue.stores import put

NewVersion = Callable[[str], contextlib.AbstractContextManager[None]]


@pytest.fixture
def store(url: DatabaseUrl) -> Iterator[Store]:
    with contextlib.closing(Store(url)) as store:
        yield store


@pytest.fixture
def new_version(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> NewVersion:
    """Makes a context in which this is the next version of the program, which has one more migration."""

    @contextlib.contextmanager
    def patched(statements: str) -> Iterator[None]:
        file = tmp_path / f"{VERSION + 1:03}.sql"
        file.write_text(statements, encoding="utf-8")
        with monkeypatch.context() as patch:
            patch.setattr(migrating, "FILES", [*migrating.FILES, file])
            patch.setattr(migrating, "VERSION", VERSION + 1)
            yield

    return patched


def test_the_schema_must_be_of_this_version(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    url = cluster.new_database(migrated=False)
    with pytest.raises(StoreError, match=r"has no tables of Chaja yet: run .* migrate"):
        Store(url)
    assert migrate(url) == (0, VERSION)
    assert migrate(url) == (VERSION, VERSION)
    with contextlib.closing(Store(url)) as store:
        put(store, "a")
    make_newer(url)
    with pytest.raises(StoreError, match=f"newer version of Chaja .schema {VERSION + 1}; this one knows {VERSION}"):
        Store(url)
    with pytest.raises(StoreError, match="newer version"):
        migrate(url)
    monkeypatch.setattr(database, "check_version", migrating.check_version)
    monkeypatch.setattr(migrating, "VERSION", VERSION + 2)
    with pytest.raises(StoreError, match=f"has schema {VERSION + 1}; this program needs {VERSION + 2}: run"):
        Store(url)


def test_a_migration_under_a_running_server_ends_its_calls_as_unavailable(
    cluster: Cluster, url: DatabaseUrl, store: Store
) -> None:
    put(store, "a")
    make_newer(url)
    end_connections(cluster, url)
    for use in (store.refresh, lambda: store.get("a"), lambda: put(store, "b")):
        with pytest.raises(StoreUnavailable, match="was migrated by a newer version"):
            use()


def test_migrations_at_the_same_time_are_made_once(cluster: Cluster) -> None:
    url = cluster.new_database(migrated=False)
    found: list[tuple[int, int]] = []
    threads = [threading.Thread(target=lambda: found.append(migrate(url))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [(0, VERSION)] + [(VERSION, VERSION)] * 3
    with contextlib.closing(Store(url)) as store:
        assert store.id


def test_a_failed_migration_changes_nothing(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    url = cluster.new_database(migrated=False)
    wrong = tmp_path_factory.mktemp("sql") / "002.sql"
    wrong.write_text("CREATE TABLE more (n BIGINT); SELECT * FROM missing;", encoding="utf-8")
    with monkeypatch.context() as patched:
        patched.setattr(migrating, "FILES", [*migrating.FILES, wrong])
        with pytest.raises(DatabaseDamaged):
            migrate(url)
    assert migrate(url) == (0, VERSION)


USABLE = f"-- Servers that need schema {VERSION} can use this one.\n"

MORE_COLUMNS = "ALTER TABLE documents ADD COLUMN more BIGINT NOT NULL DEFAULT 0; CREATE TABLE more (n BIGINT)"


def test_servers_go_on_with_a_newer_schema_that_they_can_use(
    cluster: Cluster, url: DatabaseUrl, store: Store, new_version: NewVersion
) -> None:
    for number in range(4):  # So that the statements are prepared.
        put(store, f"before {number}")
        assert store.get(f"before {number}") is not None
    with new_version(USABLE + MORE_COLUMNS):
        assert migrate(url) == (VERSION, VERSION + 1)
        with contextlib.closing(Store(url)) as new:
            assert put(store, "of the old version") == [5]
            assert put(new, "of the new version") == [6]
    assert migrate(url) == (VERSION + 1, VERSION + 1), "that of the old version does nothing"
    end_connections(cluster, url)
    assert len(store) == 6
    with contextlib.closing(Store(url)) as restarted:
        assert put(restarted, "of the old version") == [7]


def test_a_new_database_has_the_same_oldest_version(cluster: Cluster, new_version: NewVersion) -> None:
    url = cluster.new_database(migrated=False)
    with new_version(USABLE + MORE_COLUMNS):
        assert migrate(url) == (0, VERSION + 1)
    Store(url).close()


def test_a_newer_schema_for_newer_servers_only_is_refused(
    cluster: Cluster, url: DatabaseUrl, store: Store, new_version: NewVersion
) -> None:
    with new_version(MORE_COLUMNS):
        migrate(url)
    end_connections(cluster, url)
    for use in (store.refresh, lambda: Store(url), lambda: migrate(url), lambda: losses.accept_losses(url)):
        with pytest.raises(StoreUnavailable, match=f"newer version of Chaja .schema {VERSION + 1}"):
            use()


def test_a_migration_that_waits_for_a_lock_lets_servers_go_on(
    url: DatabaseUrl, store: Store, new_version: NewVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrating, "LOCK_SECONDS", 0.1)
    monkeypatch.setattr(migrating, "PAUSE_SECONDS", 0.1)
    put(store, "a")
    with new_version(USABLE + MORE_COLUMNS):
        migration = threading.Thread(target=migrate, args=(url,))
        with psycopg.connect(url.url) as dump:
            dump.execute("LOCK TABLE chaja.documents IN ACCESS SHARE MODE")  # As pg_dump does.
            migration.start()
            for number in range(10):
                put(store, str(number))
                assert store.get(str(number)) is not None
            migration.join(timeout=0.3)
            assert migration.is_alive()
        migration.join()
        Store(url).close()


def test_a_migration_is_made_again_after_a_deadlock(
    cluster: Cluster, url: DatabaseUrl, new_version: NewVersion
) -> None:
    waiting = "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'chaja.log'::regclass"
    with new_version("ALTER TABLE documents ADD COLUMN more BIGINT; ALTER TABLE log ADD COLUMN more BIGINT"):
        migration = threading.Thread(target=migrate, args=(url,))
        with psycopg.connect(url.url) as other:
            other.execute("SET LOCAL deadlock_timeout = '60s'")  # PostgreSQL ends the migration.
            other.execute("LOCK TABLE chaja.log")
            migration.start()
            while not cluster.execute(waiting, url=url):
                assert migration.is_alive()
            other.execute("LOCK TABLE chaja.documents")
        migration.join()
    assert cluster.execute("SELECT max(version) FROM chaja.migrations", url=url) == [(VERSION + 1,)]


def test_a_migration_that_gets_no_lock_says_so(
    url: DatabaseUrl, new_version: NewVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LOCK_SECONDS", "PAUSE_SECONDS", "MOST_SECONDS"):
        monkeypatch.setattr(migrating, name, 0.1)
    with new_version(MORE_COLUMNS), psycopg.connect(url.url) as dump:
        dump.execute("LOCK TABLE chaja.documents IN ACCESS SHARE MODE")
        with pytest.raises(StoreUnavailable, match="is in use by a long transaction, such as a dump"):
            migrate(url)
    Store(url).close()
