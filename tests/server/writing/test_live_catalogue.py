import asyncio
import threading
import time
from itertools import pairwise
from pathlib import Path

import pytest

from server.catalogue.changes import Delete
from server.catalogue.document import Document
from server.catalogue.store import Store
from server.errors import NotReady, StoreFull
from server.live.index import LiveIndex
from server.writing import live_catalogue, purging
from tests.server.making import WatchedBundle, until
from tests.server.writing.making import Core, running, summary, titled, upserts


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Maintains the index continuously, and rebuilds it for few dead slots."""
    monkeypatch.setattr(live_catalogue, "MAINTENANCE_SECONDS", 0.01)
    monkeypatch.setattr(live_catalogue, "DEAD_SLOTS", 20)
    monkeypatch.setattr(live_catalogue, "SNAPSHOT_SECONDS", 0.05)


def snapshots(directory: Path) -> list[str]:
    return [path.name for path in (directory / "index").glob("snapshot-*")]


@pytest.mark.usefixtures("hasty")
async def test_an_index_with_many_dead_slots_is_rebuilt_during_changes_and_searches(
    tmp_path: Path, tiny_bundle: Path
) -> None:
    async with running(tmp_path, tiny_bundle) as core:
        index = core.index
        index.dense.ef_search, old = 500, index.dense
        await core.writer.upsert(upserts(*(titled(f"{number}") for number in range(10))))
        slots = []
        for number in range(150):
            id, title = f"{number % 10}", "환율 " + "가나다라마바사"[number % 7]
            await core.writer.upsert(upserts(titled(id, title)))
            assert id in await core.found(title, limit=10)
            slots.append(len(core.index.state.slots.sequences))
        await until(lambda: core.index.state.slots.dead_count <= 20)
        rebuilds = sum(after < before for before, after in pairwise(slots))
        await until(lambda: (core.value("chaja_index_rebuilds_total", result="ok") or 0) >= rebuilds)
        assert core.value("chaja_index_rebuilds_total", result="failed") == 0
        assert core.value("chaja_index_rebuild_seconds_count") == core.value("chaja_index_rebuilds_total", result="ok")
        assert any(after < before for before, after in pairwise(slots)), "the index was rebuilt"
        assert sorted(await core.found("환율")) == [f"{number}" for number in range(10)]
        assert core.index.state.sequence == core.store.sequence == 160
        assert not core.catalogue.death.done()
        await until(lambda: not old._folder.exists())  # close() removes it last.
        assert index.dense._folder.exists()
        assert index.dense.ef_search == index.state.dense.ef_search.value == 500
        assert core.committer.index is index


async def test_an_index_with_many_dead_vectors_in_few_slots_is_rebuilt(
    tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_catalogue, "MAINTENANCE_SECONDS", 0.01)
    monkeypatch.setattr(live_catalogue, "DEAD_VECTORS", 50)
    async with running(tmp_path, tiny_bundle) as core:
        assert core.value("chaja_index_vectors", part="exact") == 0
        for number in range(4):
            examples = [f"환율 {number} {each}" for each in range(30)]
            await core.writer.upsert(upserts(Document(id="a", title="환율", examples=examples)))
        await until(lambda: len(core.index.state.dense) < 90)
        vectors = core.index.state.vectors_by_part()
        assert vectors["exact"] == 31
        await until(
            lambda: (
                vectors == {part: core.value("chaja_index_vectors", part=part) for part in ("graph", "exact", "dead")}
            )
        )
        assert await core.found("환율") == ["a"]


@pytest.mark.usefixtures("hasty")
async def test_a_failed_rebuild_is_counted(
    tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise OSError("the disk is full")

    async with running(tmp_path, tiny_bundle) as core:
        monkeypatch.setattr(core.catalogue._loaded.builder, "catch_up", broken)
        for number in range(30):
            await core.writer.upsert(upserts(titled("a", f"환율 {number}")))
        await until(lambda: core.value("chaja_index_rebuilds_total", result="failed"))
        assert core.value("chaja_index_rebuilds_total", result="ok") == 0
        assert await core.found("환율") == ["a"]
    assert "maintaining the index failed" in caplog.text


async def test_an_index_that_cannot_be_saved_delays_neither_the_end_nor_other_maintenance(
    tmp_path: Path, tiny_bundle: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_catalogue, "MAINTENANCE_SECONDS", 0.01)
    monkeypatch.setattr(live_catalogue, "SNAPSHOT_SECONDS", 0.0)
    purges: list[int] = []

    def purge(*, limit: int) -> int:
        purges.append(limit)
        return 0

    async with running(tmp_path, tiny_bundle) as core:
        folder = tmp_path / "index"
        folder.rename(folder.with_name("aside"))
        folder.write_text("a file in its place: writing fails, for root too")
        monkeypatch.setattr(core.store, "purge", purge)
        await core.writer.upsert(upserts(titled("a")))
        await until(lambda: "the index cannot be saved" in caplog.text)
        before = len(purges)
        await until(lambda: len(purges) > before + 2)
        began = time.monotonic()
    assert time.monotonic() - began < live_catalogue.FAILED_SECONDS / 2
    assert caplog.text.count("the index cannot be saved") == 2, "once while it ran, and once at its end"


@pytest.mark.usefixtures("hasty")
async def test_changes_are_saved_in_snapshots(core: Core, tmp_path: Path) -> None:
    await core.writer.upsert(upserts(titled("a"), titled("b")))
    await until(lambda: snapshots(tmp_path / "data") == ["snapshot-00000000000000000002"])
    await core.writer.delete([Delete("a")])
    await until(lambda: snapshots(tmp_path / "data") == ["snapshot-00000000000000000003"])


@pytest.mark.usefixtures("hasty")
async def test_the_time_of_the_newest_snapshot_is_reported_also_after_a_restart(
    tmp_path: Path, tiny_bundle: Path
) -> None:
    def reported(core: Core) -> float:
        return core.metrics.registry.get_sample_value("chaja_snapshot_timestamp_seconds") or 0.0

    began = time.time()
    async with running(tmp_path, tiny_bundle) as core:
        await core.writer.upsert(upserts(titled("a")))
        await until(lambda: snapshots(tmp_path) == ["snapshot-00000000000000000001"] and reported(core))
        first = reported(core)
        assert began - 5 <= first <= time.time() + 5
        await core.writer.upsert(upserts(titled("b")))
        await until(lambda: reported(core) > first)
        second = reported(core)
    async with running(tmp_path, tiny_bundle) as core:
        assert reported(core) >= second


async def test_vectors_of_the_replaced_model_are_deleted_after_its_last_calls(
    tmp_path: Path, tiny_bundle: Path, other_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_catalogue, "MAINTENANCE_SECONDS", 0.01)
    monkeypatch.setattr(purging, "RETIRED_SECONDS", 2.0)
    async with running(tmp_path, tiny_bundle, keep_vectors_seconds=0) as core:
        await core.writer.upsert(upserts(titled("a"), titled("b")))
        old, new = core.bundle.manifest.revision, WatchedBundle(other_bundle)
        await core.take_over(new)
        await asyncio.sleep(0.3)
        assert core.store.fetch([1], old), "a call on the old engine may have found it"
        await until(lambda: core.store.versioned(["a"], old)["a"].vectors is None)
        assert core.store.versioned(["a"], new.manifest.revision)["a"].vectors is not None
        assert sorted(await core.found("a")) == ["a", "b"]


async def test_going_back_to_a_replaced_model_encodes_only_what_has_changed(
    tmp_path: Path, tiny_bundle: Path, other_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_catalogue, "MAINTENANCE_SECONDS", 0.01)
    monkeypatch.setattr(purging, "RETIRED_SECONDS", 0.0)
    async with running(tmp_path, tiny_bundle) as core:
        await core.writer.upsert(upserts(titled("same"), titled("changed", "early")))
        for bundle, title in ((other_bundle, "middle"), (tiny_bundle, "late")):
            again = WatchedBundle(bundle)
            await core.take_over(again)
            await asyncio.sleep(0.1)  # Several rounds of maintenance.
            await core.writer.upsert(upserts(titled("changed", title)))
        assert [again.times_encoded(title) for title in ("same", "early", "middle", "late")] == [0, 0, 1, 1]
        assert sorted(await core.found("late")) == ["changed", "same"]


async def test_vectors_of_a_replaced_model_are_kept_after_a_restart(
    tmp_path: Path, tiny_bundle: Path, other_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_catalogue, "MAINTENANCE_SECONDS", 0.01)
    async with running(tmp_path, tiny_bundle) as core:
        await core.writer.upsert(upserts(titled("a")))
        old = core.bundle.manifest.revision
    async with running(tmp_path, other_bundle) as core:
        await asyncio.sleep(0.1)
        assert core.store.versioned(["a"], old)["a"].vectors is not None
    monkeypatch.setattr(purging, "RETIRED_SECONDS", 0.0)
    async with running(tmp_path, other_bundle, keep_vectors_seconds=0) as core:
        await until(lambda: core.store.versioned(["a"], old)["a"].vectors is None)


async def test_no_write_is_lost_while_the_model_is_replaced(core: Core, other_bundle: Path) -> None:
    await core.writer.upsert(upserts(*(titled(f"before {number}") for number in range(30))))
    written: list[str] = []

    async def write() -> None:
        for number in range(10**6):
            outcomes = await core.writer.upsert(upserts(titled(f"during {number}")))
            assert summary(outcomes)[0][2:] == (True, None)
            written.append(f"during {number}")
            assert outcomes[0].id in await core.found(f"during {number}", limit=len(written) + 30)

    writing = asyncio.create_task(write())
    await until(lambda: len(written) > 3)
    await core.take_over(WatchedBundle(other_bundle))
    seen = len(written)
    await until(lambda: len(written) > seen + 3)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    found = await core.found("before", limit=10_000)
    assert set(written) <= set(found)
    assert {f"before {number}" for number in range(30)} <= set(found)


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("error", [ZeroDivisionError("odd"), StoreFull("the disk is full")])
async def test_maintenance_continues_after_an_error(
    tmp_path: Path,
    tiny_bundle: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
) -> None:
    monkeypatch.setattr(live_catalogue, "FAILED_SECONDS", 0.01)
    attempts = 0

    def purge(store: Store, *, limit: int, everything: bool = False) -> int:
        nonlocal attempts
        attempts += 1
        if attempts <= 2:
            raise error
        return 0

    async with running(tmp_path, tiny_bundle) as core:
        monkeypatch.setattr(Store, "purge", purge)
        await until(lambda: attempts > 4)
        assert caplog.text.count("maintaining the index failed") == 2
        await core.writer.upsert(upserts(titled("a")))
        await until(lambda: snapshots(tmp_path) == ["snapshot-00000000000000000001"])


@pytest.mark.usefixtures("hasty")
async def test_closing_waits_for_the_thread_of_maintenance(
    tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, ended = threading.Event(), threading.Event()

    def purge(store: Store, *, limit: int, everything: bool = False) -> int:
        began.set()
        time.sleep(0.5)
        ended.set()
        return 0

    async with running(tmp_path, tiny_bundle):
        monkeypatch.setattr(Store, "purge", purge)
        await until(began.is_set)
    assert ended.is_set(), "the thread uses the store, which is closed now"


async def test_one_thread_at_a_time_measures_the_index(
    core: Core, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []

    def measure(_: LiveIndex) -> None:
        events.append("begins")
        time.sleep(0.1)
        events.append("ends")

    monkeypatch.setattr(LiveIndex, "measure", measure)
    monkeypatch.setattr(LiveIndex, "unmeasured", True)
    file = tmp_path / "catalogue.jsonl"
    file.write_text('{"id": "a", "title": "A"}\n')
    await asyncio.gather(*(core.import_file(file) for _ in range(3)))
    assert events[:6] == ["begins", "ends"] * 3


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("pause_seconds", [0.0, 60.0])
async def test_a_catalogue_whose_maintenance_fails_is_saved_when_closed(
    tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch, pause_seconds: float
) -> None:
    monkeypatch.setattr(live_catalogue, "FAILED_SECONDS", pause_seconds)
    monkeypatch.setattr(live_catalogue, "SNAPSHOT_SECONDS", 60.0)
    failures = 0

    def fail(_: LiveIndex) -> None:
        nonlocal failures
        failures += 1
        raise ZeroDivisionError

    monkeypatch.setattr(LiveIndex, "measure", fail)
    async with running(tmp_path, tiny_bundle) as core:
        await core.writer.upsert(upserts(titled("a")))
        await until(lambda: failures)
        await asyncio.wait_for(core.catalogue.close(), 10)
        assert [path.name for path in (tmp_path / "index").iterdir()] == ["snapshot-00000000000000000001"]
        with pytest.raises(NotReady):
            await core.writer.delete([Delete("a")])
        monkeypatch.setattr(core.catalogue, "close", core.slot.engine.close)  # It is closed already.
