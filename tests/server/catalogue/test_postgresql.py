"""Tests of a store in PostgreSQL: what goes wrong with its database."""

import contextlib
import sys
import threading
from collections.abc import Iterator

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server import commands
from server.catalogue.databases.postgresql import database, head
from server.catalogue.databases.postgresql.connection import PostgresqlConnection
from server.catalogue.databases.postgresql.migrating import VERSION, migrate
from server.catalogue.document import Document
from server.catalogue.feedback import Event, FeedbackKind, FeedbackLog
from server.catalogue.location import DatabaseUrl, parse_location, text_of
from server.catalogue.rules import RuleKind
from server.catalogue.store import Store
from server.errors import DatabaseDamaged, SettingsError, StoreError, StoreFull, StoreUnavailable
from tests.postgresql import Cluster, end_connections
from tests.server.catalogue.stores import REVISION, document, execute, lose, put, vectors


@pytest.fixture
def store(url: DatabaseUrl) -> Iterator[Store]:
    with contextlib.closing(Store(url)) as store:
        yield store


@pytest.fixture
def own_cluster() -> Iterator[Cluster]:
    """A cluster that the test may stop."""
    cluster = Cluster()
    yield cluster
    cluster.close()


def test_reads_and_writes_fail_while_the_database_is_away_and_work_again_after_it(own_cluster: Cluster) -> None:
    with contextlib.closing(Store(own_cluster.new_database())) as store:
        put(store, "a")
        for mode in ("fast", "immediate"):
            sequence = store.sequence
            own_cluster.stop(mode)
            for _ in range(3):
                with pytest.raises(StoreUnavailable, match="does not answer"):
                    store.get("a")
                with pytest.raises(StoreUnavailable, match="does not answer"):
                    put(store, "b")
                with pytest.raises(StoreUnavailable):
                    store.refresh()
            own_cluster.start()
            assert store.get("a") is not None
            assert put(store, "a") == [sequence + 1]
            store.refresh()


def test_ended_connections_are_replaced_unnoticed(cluster: Cluster, url: DatabaseUrl, store: Store) -> None:
    put(store, "a")
    with store.reading(), store.reading():  # So there are several idle connections.
        pass
    assert end_connections(cluster, url) >= 3
    assert store.get("a") is not None
    assert put(store, "b") == [2]


def test_a_transaction_whose_connection_ends_is_not_made(cluster: Cluster, url: DatabaseUrl, store: Store) -> None:
    def write(together: contextlib.AbstractContextManager[object]) -> None:
        with store.write() as transaction, together, transaction.together():
            transaction.put(document("a"), vectors(), revision=REVISION)
            end_connections(cluster, url)
            transaction.put(document("b"), vectors(), revision=REVISION)

    for inner in (contextlib.nullcontext(), contextlib.suppress(StoreError)):
        with pytest.raises(StoreUnavailable):
            write(inner)
    assert (store.sequence, len(store)) == (0, 0)
    assert put(store, "c") == [1]


def test_a_commit_whose_end_is_unknown_is_no_success_and_shows_afterwards(
    cluster: Cluster, url: DatabaseUrl, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = head.commit_at

    def commit_unheard(connection: PostgresqlConnection, *rest: object) -> None:
        commit(connection, *rest)  # type: ignore[arg-type]
        raise psycopg.OperationalError("the connection is lost")

    monkeypatch.setattr(database, "commit_at", commit_unheard)

    def write() -> None:
        with store.write() as transaction:
            transaction.put(document("a"), vectors(), revision=REVISION)
            transaction.remember_request("call", b"digest", b"outcomes")

    with pytest.raises(StoreUnavailable):
        write()
    monkeypatch.undo()
    assert store.sequence == 0
    store.refresh()
    assert store.sequence == 1
    assert store.request("call") == (b"digest", b"outcomes"), "a repeated call gets its answer"
    assert put(store, "b") == [2]


def test_a_failed_statement_keeps_no_part_of_a_transaction(store: Store) -> None:
    def write(statement: str, *ignored: type[Exception], change: bool = True) -> None:
        with store.write() as transaction:
            if change:
                transaction.put(document("a"), vectors(), revision=REVISION)
            with contextlib.suppress(*ignored):
                transaction.connection.execute(statement)

    with pytest.raises(DatabaseDamaged, match=r"tables .* have been altered"):
        write("SELECT nothing FROM documents")
    for change in (True, False):
        with pytest.raises((psycopg.errors.InFailedSqlTransaction, AssertionError)):
            write("SELECT 1 / 0", psycopg.Error, change=change)
    assert (store.sequence, len(store)) == (0, 0)
    assert put(store, "a") == [1]


def test_a_read_only_database_is_read_and_refuses_writes(cluster: Cluster, url: DatabaseUrl, store: Store) -> None:
    put(store, "a")
    name = url.name.rpartition("/")[2]
    cluster.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    end_connections(cluster, url)
    with pytest.raises(StoreUnavailable, match="is read-only"):
        put(store, "b")
    assert store.get("a") is not None
    cluster.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
    end_connections(cluster, url)
    assert put(store, "b") == [2]


@pytest.mark.parametrize(("code", "error"), [("53100", StoreFull), ("58030", StoreFull), ("53200", StoreUnavailable)])
def test_no_part_of_a_change_is_kept_on_a_full_disk(store: Store, code: str, error: type[StoreError]) -> None:
    put(store, "a")
    execute(
        store,
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF NEW.id = 'full' THEN RAISE 'no space left' USING ERRCODE = '{code}'; END IF; RETURN NEW; END $$",
    )
    execute(store, "CREATE TRIGGER fail BEFORE INSERT ON documents FOR EACH ROW EXECUTE FUNCTION fail()")
    with pytest.raises(error, match="no space left"):
        put(store, "b", "full")
    assert [each.document.id for each in store.page("", 9)] == ["a"]
    assert put(store, "c") == [2]


def test_a_missing_driver_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(SettingsError, match=r"pip install 'chaja-server\[postgresql\]'"):
        parse_location("postgresql://host/database")


@given(st.lists(st.lists(st.sampled_from(["put", "delete", "fail", "rule"]), min_size=1, max_size=4), max_size=8))
@settings(max_examples=10, deadline=None)
def test_a_follower_never_sees_a_smaller_sequence_appear(cluster: Cluster, works: list[list[str]]) -> None:
    """Writers commit in the order of their sequences, also if one is slow and another one fails."""
    url = cluster.new_database()
    stores = [Store(url) for _ in range(4)]
    ended = threading.Event()
    seen: list[int] = []

    def write(store: Store, name: str) -> None:
        for number, work in enumerate(works):
            with contextlib.suppress(ZeroDivisionError), store.write() as transaction:
                for step, kind in enumerate(work):
                    if kind == "put" or not transaction.version(name):
                        transaction.put(document(name, f"{number} {step}"), vectors(), revision=REVISION)
                    elif kind == "rule":
                        transaction.put_rule(RuleKind.SYNONYM, name, b"x")
                    elif kind == "delete":
                        transaction.delete(name)
                    else:
                        raise ZeroDivisionError

    def follow(store: Store) -> None:
        while True:
            last = ended.is_set()
            after = seen[-1] if seen else 0
            seen.extend(change.sequence for change in store.changes(0, 10_000) if change.sequence > after)
            late = [change.sequence for change in store.changes(0, 10_000) if change.sequence <= after]
            assert set(late) <= set(seen), "a smaller one appeared"
            if last:
                return

    writers = [threading.Thread(target=write, args=(store, f"{name}")) for name, store in enumerate(stores[:3])]
    follower = threading.Thread(target=follow, args=(stores[3],))
    for thread in (*writers, follower):
        thread.start()
    for thread in writers:
        thread.join()
    ended.set()
    follower.join()
    for store in stores:
        store.refresh()
    assert len({store.sequence for store in stores}) == 1
    assert seen == sorted(set(seen))
    last = {change.sequence for change in stores[0].changes(0, 10_000)}
    assert last <= set(seen), "the follower has missed a change"
    rules = {rule.version for rule in stores[0].rules(RuleKind.SYNONYM)}
    assert len(last | rules) == len(last) + len(rules), "a sequence was used twice"
    for store in stores:
        store.close()


def test_texts_with_any_characters_are_stored_and_keep_their_order(url: DatabaseUrl) -> None:
    ids = ["\0", "\0a", "\1", "\1\1", "\1\2", "\2", "a\0", "a", "Z", "é", "가", "\U0001f600", "\x7f"]
    with contextlib.closing(Store(url)) as store:
        put(store, *ids)
        assert [each.document.id for each in store.page("", 99)] == sorted(ids)
        assert {each.id for each in store.changes(0, 99)} == set(ids)
        assert all(store.get(id) is not None for id in ids)
        log = FeedbackLog(store)
        log.record([[Event("s", "query\0\1", "a\0", FeedbackKind.CLICKED, "user")]])
        assert [(each.query, each.document_id) for each in log.evidence()] == [("query\0\1", "a\0")]


@given(st.text(), st.text())
def test_any_two_texts_are_stored_in_their_order(cluster: Cluster, one: str, other: str) -> None:
    found = PostgresqlConnection(cluster.url())
    with contextlib.closing(found) as connection:
        query = 'SELECT ?::text, ?::text, ?::text COLLATE "C" < ?::text COLLATE "C"'
        assert connection.execute(query, (one, other, one, other)).fetchone() == (one, other, one < other)


def test_large_documents_are_stored_unchanged(url: DatabaseUrl) -> None:
    large = Document(id="a", title="환율", text="가" * 2_000_000)
    with contextlib.closing(Store(url)) as store:
        with store.write() as transaction:
            transaction.put(large, vectors(1.5, count=2000), revision=REVISION)
        (read,) = store.after(0, REVISION)
        assert read.document == large
        assert read.vectors is not None
        assert read.vectors.matrix.shape == (2000, 4)
        store.verify()


def test_a_database_that_is_away_at_the_start_is_one_line_without_the_password(tmp_path: object) -> None:
    url = parse_location("postgresql://me:secret@127.0.0.1:1/none?password=secret")
    with pytest.raises(StoreUnavailable, match=r"postgresql://127.0.0.1:1/none does not answer") as raised:
        Store(url)
    assert "secret" not in str(raised.value) + str(url) + repr(url)
    assert "\n" not in str(raised.value)
    with pytest.raises(SettingsError, match="--data: expected a directory, or postgresql://") as wrong:
        parse_location("postgresql://me:secret@[wrong")
    assert "secret" not in str(wrong.value)


def test_commands_on_a_database(url: DatabaseUrl, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--data", text_of(url)]
    with contextlib.closing(Store(url)) as store:
        put(store, "a")
        for command, instead in ((["backup"], "pg_dump"), (["restore", "--from", "x"], "pg_restore")):
            with pytest.raises(StoreError, match=f"use {instead} for {url}"):
                commands.run([*command, *flags])
        commands.run(["migrate", *flags])
        commands.run(["check", *flags])
        commands.run(["export-catalogue", *flags])
        output = capsys.readouterr().out
        assert f"{url} has schema {VERSION} already" in output
        assert f"{url} is intact: 1 documents" in output
        assert '"id":"a"' in output
        execute(store, "UPDATE documents SET checksum = checksum + 1")
        with pytest.raises(DatabaseDamaged, match="the checksum of version 1 is wrong"):
            commands.run(["check", *flags])
    with pytest.raises(StoreError, match="migrate is for a database of PostgreSQL"):
        commands.run(["migrate", "--data", "directory"])


def test_a_loss_is_accepted_by_a_command(url: DatabaseUrl, capsys: pytest.CaptureFixture[str]) -> None:
    with contextlib.closing(Store(url)) as store:
        put(store, "a")
    commands.run(["accept-loss", "--data", text_of(url)])
    lose(url, 2)
    with pytest.raises(StoreError, match=r"has not had change 2, which was acknowledged.* accept-loss --data"):
        commands.run(["check", "--data", text_of(url)])
    commands.run(["accept-loss", "--data", text_of(url)])
    commands.run(["check", "--data", text_of(url)])
    nothing, goes_on, intact = capsys.readouterr().out.splitlines()
    assert nothing == f"{url} has lost no change that a server knows of: nothing was done"
    assert goes_on == f"{url} continues after change 1: restart the servers that refuse calls"
    assert intact.startswith(f"{url} is intact")
    with pytest.raises(StoreError, match="accept-loss is for a database of PostgreSQL: use restore"):
        commands.run(["accept-loss", "--data", "directory"])


def test_a_user_without_rights_is_told_so(cluster: Cluster, url: DatabaseUrl) -> None:
    name = url.name.rpartition("/")[2]
    role = f"reader_{name}"
    cluster.execute(f"CREATE ROLE {role} LOGIN")
    other = parse_location(text_of(url).replace("postgres@", f"{role}@"))
    with pytest.raises(StoreError, match=r"refuses access .*: grant it"):
        Store(other)
    with contextlib.closing(Store(url)) as store:
        put(store, "a")
    cluster.execute(f"GRANT USAGE ON SCHEMA chaja TO {role}", url=url)
    cluster.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA chaja TO {role}", url=url)
    with contextlib.closing(Store(other)) as store:
        assert put(store, "b") == [2], "no more rights are needed"
    assert isinstance(other, DatabaseUrl)
    assert migrate(other) == (VERSION, VERSION), "there is nothing to do"
