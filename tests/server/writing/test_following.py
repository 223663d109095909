"""Tests that the index follows changes of the store that this server has not made, or does not know to be made."""

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from server.catalogue.changes import Delete, Outcome
from server.catalogue.databases.postgresql import database, head
from server.catalogue.location import DatabaseUrl
from server.catalogue.store import Store
from server.errors import BundleError, LearningFailed, NotReady, OutOfRange, SequenceNotSeen, StoreUnavailable
from server.feedback.process import Studied
from server.live import building
from server.logs.audit import AuditLog
from server.writing import alone, following, learning, live_catalogue, purging
from tests.postgresql import Cluster, end_connections
from tests.server.making import WatchedBundle, make_loaded, until
from tests.server.writing.making import Core, running, titled, upserts


@pytest.fixture
def url(cluster: Cluster) -> DatabaseUrl:
    return cluster.new_database()


@pytest.fixture
async def core(
    tmp_path: Path, titled_bundle: Path, url: DatabaseUrl, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Core]:
    monkeypatch.setattr(live_catalogue, "MAINTENANCE_SECONDS", 0.05)
    async with running(tmp_path / "index", titled_bundle, location=url) as core:
        yield core


@pytest.fixture
def other(url: DatabaseUrl) -> Iterator[Store]:
    with contextlib.closing(Store(url)) as store:
        yield store


async def test_a_change_of_another_process_is_found(core: Core, other: Store) -> None:
    await core.writer.upsert(upserts(titled("a", "환율"), titled("b", "환율")))
    vectors = other.versioned(["a"], core.bundle.manifest.revision)["a"].vectors
    assert vectors is not None
    with other.write() as transaction:
        transaction.delete("a")
        transaction.put(titled("c", "환율"), vectors, revision=core.bundle.manifest.revision)
    await until(lambda: core.index.state.sequence == 4)
    assert sorted(await core.found("환율")) == ["b", "c"]


async def test_a_write_on_an_older_state_applies_what_is_missing(
    tmp_path: Path, titled_bundle: Path, url: DatabaseUrl, other: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tmp_path / "index", titled_bundle, location=url) as core:
        await core.writer.upsert(upserts(titled("a", "환율")))
        core.catalogue._follower.close()
        with other.write() as transaction:
            transaction.delete("a")
        assert [each.id for each in await core.writer.upsert(upserts(titled("b", "환율")))] == ["b"]
        assert await core.found("환율") == ["b"]


async def test_two_servers_that_write_at_the_same_time_see_all_changes(
    tmp_path: Path, titled_bundle: Path, url: DatabaseUrl
) -> None:
    async with (
        running(tmp_path / "one", titled_bundle, location=url) as one,
        running(tmp_path / "two", titled_bundle, location=url) as two,
    ):

        async def write(core: Core, name: str) -> None:
            for number in range(30):
                (outcome,) = await core.writer.upsert(upserts(titled(f"{name}{number % 20}", f"환율 {number}")))
                assert outcome.changed
                assert core.index.state.sequence >= outcome.version

        await asyncio.gather(write(one, "a"), write(two, "b"), write(one, "c"))
        await until(lambda: {each.slot.engine.index.state.sequence for each in (one, two)} == {90})
        wanted = sorted(f"{name}{number}" for name in "abc" for number in range(20))
        for core in (one, two):
            assert sorted(await core.found("환율")) == wanted
            assert core.catalogue.lag_seconds == 0
        assert await one.found("환율 29") == await two.found("환율 29")


async def test_changes_that_were_not_announced_are_found_by_a_look(
    core: Core, other: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await core.writer.upsert(upserts(titled("a", "환율")))

    def hear_nothing(*_: object) -> int:
        time.sleep(0.01)
        return 0

    monkeypatch.setattr(Store, "wait_for_change", hear_nothing)
    monkeypatch.setattr(following, "POLL_SECONDS", 0.1)
    with other.write() as transaction:
        transaction.delete("a")
    await until(lambda: core.index.state.sequence == 2)


async def test_the_vectors_of_another_servers_bundle_are_made_and_kept(
    tmp_path: Path, titled_bundle: Path, other_bundle: Path, url: DatabaseUrl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_catalogue, "MAINTENANCE_SECONDS", 0.02)
    monkeypatch.setattr(purging, "RETIRED_SECONDS", 0.5)
    async with running(tmp_path / "old", titled_bundle, location=url, keep_vectors_seconds=0) as old:
        await old.writer.upsert(upserts(titled("a", "환율")))
        async with running(tmp_path / "new", other_bundle, location=url, keep_vectors_seconds=0) as new:
            await new.writer.upsert(upserts(titled("b", "환율")))
            await until(lambda: old.slot.engine.index.state.sequence == 2)
            assert sorted(await old.found("환율")) == sorted(await new.found("환율")) == ["a", "b"]
            await asyncio.sleep(1.5)
            assert sorted(await old.found("환율")) == sorted(await new.found("환율")) == ["a", "b"], "both are in use"
        revision = new.bundle.manifest.revision
        await until(lambda: old.store.versioned(["a"], revision)["a"].vectors is None)
        assert sorted(await old.found("환율")) == ["a", "b"]


async def test_an_index_that_fails_on_a_change_is_not_used_any_more(
    core: Core, other: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await core.writer.upsert(upserts(titled("a", "환율")))
    monkeypatch.setattr(core.slot.engine.index, "follow", None)  # To call it is an error that is not expected.
    with other.write() as transaction:
        transaction.delete("a")
    await until(core.catalogue.death.done)
    with pytest.raises(NotReady):
        await core.writer.upsert(upserts(titled("c", "환율")))


async def test_a_watcher_is_told_of_changes_that_a_write_has_applied(core: Core, other: Store) -> None:
    await core.writer.upsert(upserts(titled("a", "환율"), titled("b", "환율")))
    core.catalogue._follower.close()
    changes = core.reader.changes(2)
    first = asyncio.ensure_future(anext(changes))
    await asyncio.sleep(0.1)
    with other.write() as transaction:
        transaction.delete("a")
    (outcome,) = await core.writer.upsert(upserts(titled("b", "환율")))
    assert not outcome.changed
    assert [(each.sequence, each.id) for each in await asyncio.wait_for(first, 10)] == [(3, "a")]
    await changes.aclose()


async def test_a_reader_waits_for_a_change_of_another_process(core: Core, other: Store) -> None:
    await core.writer.upsert(upserts(titled("a", "환율"), titled("b", "환율")))
    await core.reader.reach(2, max_seconds=0)
    core.catalogue._follower.close()  # Announced changes are not applied.
    with other.write() as transaction:
        transaction.delete("a")
    await core.reader.reach(3, max_seconds=10)
    assert await core.found("환율") == ["b"]
    with other.write() as transaction:
        transaction.delete("b")
    seen = "has not seen change 4 yet, but those up to 3: try again"
    with core.committer.lock, pytest.raises(SequenceNotSeen, match=seen):  # Another write takes long.
        await core.reader.reach(4, max_seconds=0.3)
    await core.reader.reach(4, max_seconds=10)


async def test_a_look_that_began_before_a_change_does_not_decide_about_it(
    core: Core, other: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await core.writer.upsert(upserts(titled("a", "환율"), titled("b", "환율")))
    core.catalogue._follower.close()
    looks, look, goes_on = 0, core.reader._catch_up, threading.Event()

    def look_slowly() -> None:
        nonlocal looks
        looks += 1
        look()
        assert goes_on.wait(20)

    monkeypatch.setattr(core.reader, "_catch_up", look_slowly)
    first = asyncio.create_task(core.reader.reach(3, max_seconds=20))
    await until(lambda: looks)
    await asyncio.sleep(0.1)
    with other.write() as transaction:
        transaction.delete("a")
    second = asyncio.create_task(core.reader.reach(3, max_seconds=20))
    await asyncio.sleep(0.1)
    goes_on.set()
    await second
    assert await core.found("환율") == ["b"]
    with contextlib.suppress(SequenceNotSeen):  # Its look was before the change.
        await first


async def test_failing_commits_do_not_hide_the_lag(
    core: Core, other: Store, other_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await core.writer.upsert(upserts(titled("a", "환율"), titled("b", "환율")))

    def fail(*_: object, **__: object) -> None:
        raise BundleError("the model cannot encode it")

    monkeypatch.setattr(building, "encode_documents", fail)
    monkeypatch.setattr(following, "FAILED_SECONDS", 60)
    vectors = other.versioned(["a"], core.bundle.manifest.revision)["a"].vectors
    assert vectors is not None
    with other.write() as transaction:
        transaction.put(titled("c", "환율"), vectors, revision="of another model")
    await until(lambda: core.catalogue.lag_seconds > 0)
    started = time.monotonic()
    while time.monotonic() - started < 0.5:
        with pytest.raises(BundleError):
            await core.writer.delete([Delete("b")])
    assert core.catalogue.lag_seconds > 0.4


@pytest.mark.parametrize("work", ["replace", "rebuild"])
async def test_a_watcher_is_told_of_changes_that_a_new_index_has_brought(
    core: Core, other: Store, other_bundle: Path, monkeypatch: pytest.MonkeyPatch, work: str
) -> None:
    await core.writer.upsert(upserts(titled("a", "환율"), titled("b", "환율")))
    core.catalogue._follower.close()
    changes = core.reader.changes(2)
    first = asyncio.ensure_future(anext(changes))
    await asyncio.sleep(0.1)
    with other.write() as transaction:
        transaction.delete("a")
    if work == "replace":
        await core.take_over(WatchedBundle(other_bundle))
    else:
        monkeypatch.setattr(live_catalogue, "DEAD_SLOTS", -1)
        monkeypatch.setattr(live_catalogue, "DEAD_SHARE", -1)
    assert [(each.sequence, each.id) for each in await asyncio.wait_for(first, 10)] == [(3, "a")]
    await changes.aclose()


async def test_a_reader_refuses_a_sequence_that_the_store_has_not_had(core: Core, other: Store) -> None:
    await core.writer.upsert(upserts(titled("a", "환율")))
    with pytest.raises(OutOfRange, match=r"has not had the change 2: .* \(its last one is 1\)"):
        await core.reader.reach(2, max_seconds=60)
    with other.write() as transaction:
        transaction.connection.execute("INSERT INTO gaps (first, last) VALUES (2, 9)")
        transaction.sequence = 9
        transaction.delete("a")
    await core.reader.reach(10, max_seconds=10)
    with pytest.raises(OutOfRange):
        await core.reader.reach(5, max_seconds=10)


async def test_the_lag_grows_while_the_store_is_away_or_changes_wait(
    core: Core, cluster: Cluster, url: DatabaseUrl, other: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await core.writer.upsert(upserts(titled("a", "환율"), titled("b", "환율")))
    with other.write() as transaction:
        transaction.delete("a")
    await until(lambda: core.index.state.sequence == 3)  # Now the follower does not wait for the lock.
    assert core.catalogue.lag_seconds == 0
    with core.committer.lock:
        with other.write() as transaction:
            transaction.delete("b")
        await until(lambda: core.catalogue.lag_seconds > 0.2)
    await until(lambda: core.catalogue.lag_seconds == 0)
    name = url.name.rpartition("/")[2]
    cluster.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    end_connections(cluster, url)
    await until(lambda: core.catalogue.lag_seconds > 0.2)
    assert core.value("chaja_change_lag_seconds") == pytest.approx(core.catalogue.lag_seconds, abs=0.2)
    cluster.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    await until(lambda: core.catalogue.lag_seconds == 0)


async def test_one_server_at_a_time_learns(core: Core, other: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alone, "BUSY_SECONDS", 0.05)

    async def study() -> Studied:
        raise LearningFailed("it is not asked")

    learns = learning.Learning(core.store, core.writer, core.metrics.feedback, AuditLog(on=False), study=study)
    with other.alone("learn"):
        learnt = asyncio.create_task(learns.learn(undo=True))
        await asyncio.sleep(0.3)
        assert not learnt.done()
    assert (await learnt).documents == 0
    await learns.close()


async def test_servers_that_load_a_bundle_encode_each_document_once(
    core: Core, other: Store, other_bundle: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(building, "PORTION_DOCUMENTS", 10)
    monkeypatch.setattr(building, "FEW_DOCUMENTS", 2)
    monkeypatch.setattr(building, "OTHERS_SECONDS", 0.01)
    caplog.set_level("INFO")
    titles = [f"환율 {number}" for number in range(95)]
    await core.writer.upsert(upserts(*(titled(title, title) for title in titles)))
    watched = [WatchedBundle(other_bundle) for _ in range(2)]
    revision = watched[0].manifest.revision
    with other.alone(f"encode {revision}"):
        loading = [asyncio.create_task(asyncio.to_thread(make_loaded, each, core.store)) for each in watched]
        await until(lambda: caplog.text.count(f"another server encodes the documents for revision {revision}") == 2)
        assert not any(each.batches for each in watched), "another server does it"
    loaded = [await each for each in loading]
    for each in loaded:
        assert each.index.state.slots.live_count == len(titles)
        assert each.index.state.sequence == len(titles)
        each.index.close()
    assert {sum(each.times_encoded(title) for each in watched) for title in titles} == {1}


async def test_many_changes_are_followed_in_portions(core: Core, other: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "PORTION_DOCUMENTS", 2)
    await core.writer.upsert(upserts(*(titled(f"{number}", "환율") for number in range(9))))
    vectors = other.versioned(["1"], core.bundle.manifest.revision)["1"].vectors
    assert vectors is not None
    with other.write() as transaction:
        for number in (1, 3, 5, 7):
            transaction.delete(f"{number}")
            transaction.put(titled(f"{number + 10}", "환율"), vectors, revision=core.bundle.manifest.revision)
        transaction.put(titled("2", "금리"), vectors, revision=core.bundle.manifest.revision)
    await until(lambda: core.index.state.sequence == other.sequence)
    assert sorted(await core.found("환율")) == sorted([*"02468", *(f"{number + 10}" for number in (1, 3, 5, 7))])
    assert core.index.state.slots.live_count == 9


async def test_a_commit_whose_end_was_unknown_is_found(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    def commit_unheard(*arguments: object) -> None:
        head.commit_at(*arguments)  # type: ignore[arg-type]
        raise psycopg.OperationalError("the connection is lost")

    with monkeypatch.context() as patched:
        patched.setattr(database, "commit_at", commit_unheard)
        with pytest.raises(StoreUnavailable):
            await core.writer.upsert(upserts(titled("a", "환율")), request_id="call")
    await until(lambda: core.index.state.sequence == 1)
    assert await core.found("환율") == ["a"]
    (outcome,) = await core.writer.upsert(upserts(titled("a", "환율")), request_id="call")
    assert (outcome.version, outcome.changed) == (1, True), "the repeated call gets the first one's outcome"
    assert core.store.sequence == 1


async def test_a_store_that_does_not_answer_is_counted_as_lag(
    core: Core, cluster: Cluster, url: DatabaseUrl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "POLL_SECONDS", 0.1)
    monkeypatch.setattr(following, "ANSWER_SECONDS", 0.5)
    await core.writer.upsert(upserts(titled("a", "환율")))
    assert core.catalogue.lag_seconds == 0
    with psycopg.connect(url.url) as blocking:
        blocking.execute("LOCK TABLE chaja.log")
        await until(lambda: core.catalogue.lag_seconds > 1)
    await until(lambda: core.catalogue.lag_seconds == 0)


async def test_the_vectors_of_a_bundle_that_loads_are_not_deleted(
    core: Core, other: Store, other_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await core.writer.upsert(upserts(titled("a", "환율")))
    bundle = WatchedBundle(other_bundle)
    revision = bundle.manifest.revision
    with other.maintenance() as transaction:
        transaction.use_vectors(revision)
        transaction.connection.execute("UPDATE revisions SET used_seconds = 0 WHERE revision = ?", (revision,))
    make_loaded(bundle, other).index.close()
    purger = purging.Purger(other, "another model", keep_vectors_seconds=3600)
    while purger.purge():
        pass
    assert other.versioned(["a"], revision)["a"].vectors is not None


async def test_servers_that_import_the_same_file_undo_no_write_that_follows_an_import(
    tmp_path: Path, titled_bundle: Path, url: DatabaseUrl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alone, "BUSY_SECONDS", 0.05)
    file = tmp_path / "catalogue.jsonl"
    file.write_text('{"id": "a", "title": "환율"}\n', encoding="utf-8")
    async with (
        running(tmp_path / "one", titled_bundle, location=url) as fast,
        running(tmp_path / "two", titled_bundle, location=url) as slow,
    ):
        imports, goes_on = slow.writer.import_file, asyncio.Event()

        async def import_slowly(*arguments: Any) -> list[Outcome]:
            await goes_on.wait()
            return await imports(*arguments)

        monkeypatch.setattr(slow.writer, "import_file", import_slowly)
        second = asyncio.create_task(slow.import_file(file))
        await asyncio.sleep(0.2)
        first = asyncio.create_task(fast.import_file(file))
        await asyncio.wait([first], timeout=1)  # It waits for the slow one.
        if not first.done():
            goes_on.set()
        await first
        await fast.writer.upsert(upserts(titled("a", "금리")))
        goes_on.set()
        await second
        assert fast.stored("a").document.title == "금리"
