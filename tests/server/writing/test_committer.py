import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from server.attributes.filter import Equals
from server.catalogue.changes import Delete, Outcome, Upsert
from server.catalogue.document import Document
from server.errors import Conflict, DatabaseDamaged, ImportTakenOver, InvalidRequest, NotReady, StoreFull
from server.writing.committer import CommitRequest, Outdated, Put
from tests.server.catalogue.stores import execute
from tests.server.making import WatchedBundle, until, versioned
from tests.server.writing.making import Core, running, summary, titled, upserts


def put(core: Core, id: str, title: str = "") -> Put:
    return Put(titled(id, title), versioned(core.bundle, titled(id, title), 0).vectors)


def work(core: Core, *changes: Put | Delete) -> CommitRequest:
    return CommitRequest(changes=changes, revision=core.bundle.manifest.revision)


async def importing(core: Core, position: int, documents: Sequence[Upsert], *, holder: str = "call") -> list[Outcome]:
    return await core.writer.import_documents("list", position, documents, holder=holder)


def position(core: Core) -> int:
    (found,) = execute(core.store, "SELECT coalesce(max(position), 0) FROM import_positions")[0]
    return int(found)


async def commit_as_group(
    core: Core, first: CommitRequest, *others: CommitRequest
) -> list[list[Outcome] | BaseException]:
    """Commits the first request while the others wait, then the others as one group."""
    with core.committer.lock:
        tasks = [asyncio.create_task(core.committer.commit(first))]
        await asyncio.sleep(0.02)  # The thread has taken it and waits for the lock.
        tasks += [asyncio.create_task(core.committer.commit(each)) for each in others]
        await asyncio.sleep(0)
    return await asyncio.gather(*tasks, return_exceptions=True)


async def test_waiting_changes_are_committed_as_one_group(core: Core) -> None:
    outcomes = await commit_as_group(core, *(work(core, put(core, f"{n}")) for n in range(21)))
    assert [each[0].version for each in outcomes if isinstance(each, list)] == list(range(1, 22))
    assert core.value("chaja_commit_seconds_count") == 2
    assert core.value("chaja_changes_total") == 21
    assert core.value("chaja_catalogue_documents") == 21


async def test_a_change_is_searchable_when_its_call_is_answered(core: Core) -> None:
    for number in range(20):
        title = "환율" + "가나다라마바사아자차카타파하거너더러머버"[number]
        assert summary(await core.writer.upsert(upserts(titled("a", title)))) == [("a", number + 1, True, None)]
        assert core.index.state.sequence == number + 1
        assert await core.found(title) == ["a"]
    assert core.index.state.slots.dead_count == 19
    assert summary(await core.writer.delete([Delete("a")])) == [("a", 21, True, None)]
    assert await core.found("환율") == []


async def test_a_conflict_affects_one_document(core: Core) -> None:
    await core.writer.upsert(upserts(titled("a"), titled("b")))
    outcomes = await core.writer.upsert(
        [
            Upsert(titled("a", "changed"), expected_version=1),
            Upsert(titled("b", "changed"), expected_version=1),
            Upsert(titled("a", "again"), expected_version=1),
            Upsert(titled("c"), expected_version=0),
            Upsert(titled("c", "there"), expected_version=0),
            Upsert(titled("d"), expected_version=7),
        ]
    )
    assert summary(outcomes) == [
        ("a", 3, True, None),
        ("b", 2, False, "Conflict"),
        ("a", 3, False, "Conflict"),
        ("c", 4, True, None),
        ("c", 4, False, "Conflict"),
        ("d", 0, False, "Conflict"),
    ]
    assert isinstance(outcomes[1].error, Conflict)
    deleted = await core.writer.delete([Delete("a", expected_version=1), Delete("b", expected_version=2), Delete("z")])
    assert summary(deleted) == [("a", 3, False, "Conflict"), ("b", 5, True, None), ("z", 0, False, None)]
    assert sorted(await core.found("changed")) == ["a", "c"]


async def test_a_repeated_call_is_made_once(core: Core) -> None:
    first = await core.writer.upsert(upserts(titled("a"), titled("b")), request_id="key")
    await core.writer.upsert(upserts(titled("a", "by another")))
    again = await core.writer.upsert(upserts(titled("a"), titled("b")), request_id="key")
    assert again == first
    assert core.store.sequence == 3
    deletion = await core.writer.delete([Delete("b")], request_id="delete")
    await core.writer.upsert(upserts(titled("b")))
    assert await core.writer.delete([Delete("b")], request_id="delete") == deletion
    assert sorted(await core.found("b")) == ["a", "b"]


async def test_a_repeated_call_retries_its_conflicts(core: Core) -> None:
    await core.writer.upsert(upserts(titled("a")))
    call = [Upsert(titled("new")), Upsert(titled("a", "changed"), expected_version=4), Upsert(titled("last"))]
    first = await core.writer.upsert(call, request_id="key")
    assert summary(first) == [("new", 2, True, None), ("a", 1, False, "Conflict"), ("last", 3, True, None)]
    assert summary(await core.writer.upsert(call, request_id="key")) == summary(first)
    await core.writer.upsert(upserts(titled("a", "as it was expected")))
    await core.writer.delete([Delete("new")])
    again = await core.writer.upsert(call, request_id="key")
    assert summary(again) == [("new", 2, True, None), ("a", 6, True, None), ("last", 3, True, None)]
    assert await core.writer.upsert(call, request_id="key") == again
    assert sorted(await core.found("changed")) == ["a", "last"], "finished changes are not repeated"


async def test_a_repeated_call_retries_failed_encodings_and_keeps_the_order(core: Core) -> None:
    core.bundle.fails_on["독약"] = RuntimeError("the model broke")
    call = upserts(titled("a"), titled("poison", "독약"), titled("b"))
    first = await core.writer.upsert(call, request_id="key")
    assert summary(first) == [("a", 1, True, None), ("poison", 0, False, "EncodingFailed"), ("b", 2, True, None)]
    core.bundle.fails_on.clear()
    again = await core.writer.upsert(call, request_id="key")
    assert summary(again) == [("a", 1, True, None), ("poison", 3, True, None), ("b", 2, True, None)]
    assert await core.writer.upsert(call, request_id="key") == again
    assert core.store.sequence == 3


async def test_a_request_id_belongs_to_one_call(core: Core) -> None:
    await core.writer.upsert(upserts(titled("a")), request_id="key")
    for attempt in (
        core.writer.upsert(upserts(titled("a", "other")), request_id="key"),
        core.writer.delete([Delete("a")], request_id="key"),
        core.writer.delete_matching(Equals("n", 1), request_id="key"),
    ):
        with pytest.raises(InvalidRequest, match="was used for another call"):
            await attempt
    assert core.store.sequence == 1


async def test_a_change_that_a_repeated_call_has_made_is_remembered_beside_another_repetition(
    core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = [Upsert(titled("a")), Upsert(titled("b", "new"), 2)]
    assert summary(await core.writer.upsert(call, request_id="call"))[1] == ("b", 0, False, "Conflict")
    await core.writer.upsert(upserts(titled("b", "old")))
    commit, goes_on, waits = core.committer.commit, asyncio.Event(), asyncio.Event()

    async def commit_later(request: CommitRequest) -> list[Outcome]:
        waits.set()
        await goes_on.wait()
        return await commit(request)

    with monkeypatch.context() as patched:
        patched.setattr(core.committer, "commit", commit_later)
        second = asyncio.create_task(core.writer.upsert(call, request_id="call"))
        await waits.wait()
    made = [("a", 1, True, None), ("b", 3, True, None)]
    assert summary(await core.writer.upsert(call, request_id="call")) == made
    goes_on.set()
    assert summary(await second) == made
    assert summary(await core.writer.upsert(call, request_id="call")) == made


async def test_concurrent_calls_with_one_request_id_are_made_once(core: Core) -> None:
    both = await asyncio.gather(*(core.writer.upsert(upserts(titled("a")), request_id="key") for _ in range(5)))
    assert all(summary(outcomes) == [("a", 1, True, None)] for outcomes in both)
    assert core.store.sequence == 1


async def test_matching_documents_are_deleted_and_counted_once(core: Core) -> None:
    await core.writer.upsert(upserts(*(Document(id=f"{n}", title="환율", attributes={"n": n % 2}) for n in range(10))))
    assert await core.writer.delete_matching(Equals("n", 1), request_id="key") == 5
    await core.writer.upsert(upserts(Document(id="1", title="환율", attributes={"n": 1})))
    assert await core.writer.delete_matching(Equals("n", 1), request_id="key") == 5
    assert len(await core.found("환율")) == 6


async def test_changes_of_one_group_see_each_other(core: Core) -> None:
    await core.writer.upsert(upserts(Document(id="a", title="a", attributes={"n": 1})))
    matching = CommitRequest(matching=Equals("n", 1), revision=core.bundle.manifest.revision)
    changed, deleted, again = await commit_as_group(
        core, work(core, put(core, "a", "changed")), matching, work(core, Delete("a"))
    )
    assert deleted == [], "it no longer matches"
    assert isinstance(changed, list)
    assert isinstance(again, list)
    assert summary([*changed, *again]) == [("a", 2, True, None), ("a", 3, True, None)]


async def test_vectors_of_another_model_are_outdated(core: Core, other_bundle: Path) -> None:
    with pytest.raises(Outdated):
        await core.committer.commit(CommitRequest(changes=[put(core, "a")], revision="another"))
    with pytest.raises(Outdated):
        await core.committer.commit(work(core, Put(titled("a"), None)))
    assert core.store.sequence == 0
    assert summary(await core.committer.commit(work(core, put(core, "a")))) == [("a", 1, True, None)]
    await core.take_over(WatchedBundle(other_bundle))
    with pytest.raises(Outdated):
        await core.committer.commit(work(core, put(core, "b")))


async def test_a_document_that_was_encoded_by_the_replaced_model_is_encoded_again(
    core: Core, other_bundle: Path
) -> None:
    other = WatchedBundle(other_bundle)
    core.bundle.gate.clear()
    writing = asyncio.create_task(core.writer.upsert(upserts(titled("a", "환율"))))
    await until(lambda: core.bundle.batches)
    loading = asyncio.create_task(core.take_over(other))
    await until(lambda: core.slot.engine.manifest.revision == other.manifest.revision)
    core.bundle.gate.set()
    assert summary(await writing) == [("a", 1, True, None)]
    await loading
    assert (core.bundle.times_encoded("환율"), other.times_encoded("환율")) == (1, 1)
    assert await core.found("환율") == ["a"]
    assert core.store.versioned(["a"], other.manifest.revision)["a"].vectors is not None


async def test_a_failed_change_does_not_affect_the_others_of_its_group(core: Core) -> None:
    bad = work(core, put(core, "half"), Put(titled("bad"), None))
    works = [work(core, put(core, id)) for id in ("busy", "good", "last")]
    busy, good, failed, last = await commit_as_group(core, works[0], works[1], bad, works[2])
    assert isinstance(failed, Outdated)
    assert [each[0].version for each in (busy, good, last) if isinstance(each, list)] == [1, 2, 3]
    assert sorted(await core.found("good")) == ["busy", "good", "last"]


async def test_no_part_of_a_change_is_kept_on_a_full_disk(core: Core) -> None:
    await core.writer.upsert(upserts(titled("a")))
    before = core.index.state
    ((pages,),) = execute(core.store, "PRAGMA page_count")
    execute(core.store, f"PRAGMA max_page_count = {pages + 20}")
    large = [Document(id=f"{n}", title="환율", attributes={"x": "y" * 10_000}) for n in range(30)]
    with pytest.raises(StoreFull):
        await core.writer.upsert(upserts(titled("a", "changed"), *large), request_id="key")
    assert core.index.state is before
    assert (core.store.sequence, len(core.store), core.stored("a").version) == (1, 1, 1)
    assert await core.found("환율") == ["a"]
    assert core.value("chaja_commit_failures_total") == 1
    assert core.value("chaja_change_lag_seconds") == 0, "nothing was committed"
    execute(core.store, "PRAGMA max_page_count = 1000000")
    assert len(await core.writer.upsert(upserts(*large), request_id="key")) == 30
    assert core.index.state.sequence == core.store.sequence == 31
    assert core.value("chaja_commit_failures_total") == 1


async def test_writes_fail_after_the_committer_has_died(
    core: Core, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise MemoryError("too large")

    await core.writer.upsert(upserts(titled("seen")))
    assert core.value("chaja_change_lag_seconds") == 0
    monkeypatch.setattr(core.index, "follow", broken)
    with pytest.raises(NotReady, match="can make no more changes"):
        await core.writer.upsert(upserts(titled("a")))
    await until(core.catalogue.death.done)
    with pytest.raises(NotReady):
        await core.writer.upsert(upserts(titled("b")))
    assert "the committer died" in caplog.text
    before = core.value("chaja_change_lag_seconds")
    assert before, "the change is in the store, and searches do not see it"
    await until(lambda: (core.value("chaja_change_lag_seconds") or 0) > before)
    await core.take_over(core.bundle)
    assert core.value("chaja_change_lag_seconds") == 0, "an index of the whole store has replaced the old one"


async def test_accepted_changes_are_finished_before_closing(tmp_path: Path, tiny_bundle: Path) -> None:
    async with running(tmp_path, tiny_bundle) as core:
        with core.committer.lock:
            writing = [asyncio.create_task(core.committer.commit(work(core, put(core, f"{n}")))) for n in range(9)]
            await asyncio.sleep(0.02)
            closing = asyncio.create_task(core.catalogue.close())
            await asyncio.sleep(0.02)
        outcomes: list[list[Outcome]] = await asyncio.gather(*writing)
        assert [each[0].version for each in outcomes] == list(range(1, 10))
        await closing
        with pytest.raises(NotReady):
            await core.committer.commit(work(core, Delete("0")))


@pytest.mark.parametrize("imported", [False, True])
async def test_of_two_changes_to_one_id_the_last_one_wins_even_if_it_equals_the_stored_one(
    core: Core, imported: bool
) -> None:
    async def write(*titles: str) -> list[Outcome]:
        call = upserts(*(titled("a", title) for title in titles))
        writing = importing(core, len(titles), call) if imported else core.writer.upsert(call)
        return await asyncio.wait_for(writing, 10)

    await write("환율")
    assert summary(await write("달러", "환율")) == [("a", 2, True, None), ("a", 3, True, None)]
    assert (core.stored("a").document.title, core.stored("a").version) == ("환율", 3)
    assert summary(await write("환율", "환율")) == [("a", 3, False, None), ("a", 3, False, None)]
    assert await core.found("환율") == ["a"]
    assert core.index.state.slots.live_count == 1


@pytest.mark.parametrize("imported", [False, True])
async def test_a_write_whose_engine_closes_is_encoded_by_the_next_engine(
    core: Core, other_bundle: Path, monkeypatch: pytest.MonkeyPatch, imported: bool
) -> None:
    other, split = WatchedBundle(other_bundle), core.bundle.split
    preparing, released = threading.Event(), threading.Event()

    def held(*arguments: Any, **options: Any) -> Any:
        preparing.set()
        assert released.wait(20)
        return split(*arguments, **options)

    monkeypatch.setattr(core.bundle, "split", held)
    call = upserts(titled("a", "환율"), titled("b", "달러"))
    writing = asyncio.create_task(importing(core, 2, call) if imported else core.writer.upsert(call))
    await until(preparing.is_set)
    await core.take_over(other)
    assert position(core) == 0
    released.set()
    assert summary(await asyncio.wait_for(writing, 10)) == [("a", 1, True, None), ("b", 2, True, None)]
    assert position(core) == (2 if imported else 0)
    assert (core.bundle.times_encoded("환율"), other.times_encoded("환율")) == (0, 1)
    assert core.store.versioned(["a"], other.manifest.revision)["a"].vectors is not None
    assert sorted(await core.found("환율")) == ["a", "b"]


async def test_only_the_call_that_took_an_import_last_advances_it(core: Core) -> None:
    assert await core.writer.take_import("list", "first") == 0
    await importing(core, 1, upserts(titled("a")), holder="first")
    assert await core.writer.take_import("list", "second") == 1
    outcomes = await asyncio.gather(
        importing(core, 2, upserts(titled("a", "stale")), holder="first"),
        importing(core, 2, upserts(titled("b")), holder="second"),
        return_exceptions=True,
    )
    assert isinstance(outcomes[0], ImportTakenOver)
    assert outcomes[1] == [Outcome("b", 2, changed=True)]
    assert (position(core), core.stored("a").version) == (2, 1), "nothing of the first call is written"


async def test_an_import_that_the_engine_rejects_does_not_advance(core: Core) -> None:
    await core.slot.engine.close()
    with pytest.raises((NotReady, RuntimeError)):
        await importing(core, 1, upserts(titled("a")))
    assert position(core) == 0
    assert core.store.sequence == 0


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE documents SET checksum = checksum + 1 WHERE id IN ('a', 'b')",
        "UPDATE documents SET content = CAST('{' AS BLOB) WHERE id IN ('a', 'b')",
    ],
)
async def test_a_damaged_document_can_be_replaced_and_deleted(core: Core, damage: str) -> None:
    await core.writer.upsert(upserts(titled("a", "환율"), titled("b"), titled("good")))
    execute(core.store, damage)
    with pytest.raises(DatabaseDamaged):
        core.store.get("a")
    outcomes = await core.writer.upsert([Upsert(titled("a", "환율"), expected_version=1), Upsert(titled("c"))])
    assert summary(outcomes) == [("a", 4, True, None), ("c", 5, True, None)]
    deleted = await core.writer.delete([Delete("b", expected_version=9), Delete("b", expected_version=2)])
    assert summary(deleted) == [("b", 2, False, "Conflict"), ("b", 6, True, None)]
    assert sorted(await core.found("환율")) == ["a", "c", "good"]
    assert core.stored("a").document.title == "환율"
