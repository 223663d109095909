"""Tests that feedback is stored in batches beside changes of the catalogue."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.catalogue.feedback import DAY_SECONDS, Event, FeedbackKind, Recorded
from server.catalogue.store import Store
from server.errors import NotReady, Overloaded, StoreFull
from server.metrics import Metrics
from server.writing import feedback as module
from server.writing.feedback import FeedbackWriter
from tests.postgresql import Cluster
from tests.server.catalogue.stores import put
from tests.server.making import until
from tests.server.writing.making import Core, running, titled, upserts


def click(user: str, search: str = "s") -> Event:
    return Event(search, "환율", "a", FeedbackKind.CLICKED, user)


@pytest.fixture
async def core(tmp_path: Path, tiny_bundle: Path) -> AsyncIterator[Core]:
    async with running(tmp_path / "data", tiny_bundle) as core:
        await core.writer.upsert(upserts(titled("a")))
        yield core


async def test_calls_that_wait_are_stored_together(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    writer, batches = core.catalogue.feedback, []
    record = writer.log.record

    def recording(calls: list[list[Event]]) -> list[list[Recorded]]:
        batches.append(len(calls))
        return record(calls)

    monkeypatch.setattr(writer.log, "record", recording)
    results = await asyncio.gather(*(writer.record([click(f"{number}")]) for number in range(50)))
    assert results == [[Recorded.STORED]] * 50
    assert sum(batches) == 50
    assert len(batches) <= 2


async def test_documents_are_written_meanwhile(core: Core) -> None:
    events = [asyncio.create_task(core.catalogue.feedback.record([click(f"{n}")])) for n in range(500)]
    for number in range(10):
        await core.writer.upsert(upserts(titled(f"{number}")))
    assert await asyncio.gather(*events) == [[Recorded.STORED]] * 500
    assert core.store.sequence == 11


async def test_a_full_disk_is_reported_to_each_call_and_later_ones_are_stored(
    core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = core.catalogue.feedback

    def full(_: object) -> None:
        raise StoreFull("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(writer.log, "record", full)
        results = await asyncio.gather(writer.record([click("a")]), writer.record([click("b")]), return_exceptions=True)
    assert all(isinstance(each, StoreFull) for each in results)
    assert await writer.record([click("a")]) == [Recorded.STORED]


async def test_a_caller_that_gives_up_stops_nobody(core: Core) -> None:
    writer = core.catalogue.feedback
    given_up = asyncio.create_task(writer.record([click("a")]))
    await asyncio.sleep(0)
    given_up.cancel()
    assert await writer.record([click("b")]) == [Recorded.STORED]


async def test_too_much_waiting_feedback_is_refused(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_WAITING_EVENTS", 3)
    writer = core.catalogue.feedback
    waiting = asyncio.gather(*(writer.record([click(f"{number}")]) for number in range(3)))
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await writer.record([click("x")])
    assert await waiting == [[Recorded.STORED]] * 3


async def test_what_waits_is_stored_before_the_end(tmp_path: Path, tiny_bundle: Path) -> None:
    async with running(tmp_path / "data", tiny_bundle) as core:
        await core.writer.upsert(upserts(titled("a")))
        waiting = asyncio.gather(*(core.catalogue.feedback.record([click(f"{number}")]) for number in range(20)))
        await asyncio.sleep(0)
        writer = core.catalogue.feedback
    assert await waiting == [[Recorded.STORED]] * 20
    with pytest.raises(NotReady):
        await writer.record([click("x")])


async def test_maintenance_deletes_old_feedback(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = core.catalogue.feedback
    await writer.record([click("a")])
    monkeypatch.setattr(writer, "_keep_seconds", -10)
    await until(lambda: not list(writer.log.evidence()))


async def test_a_wrong_clock_of_a_server_deletes_no_feedback_of_a_shared_store(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    with contextlib.closing(Store(cluster.new_database())) as store:
        put(store, "a")
        writer = FeedbackWriter(store, Metrics().feedback, keep_days=1)
        assert await writer.record([click("yuna")]) == [Recorded.STORED]
        wrong = time.time() + 1000 * DAY_SECONDS
        monkeypatch.setattr(time, "time", lambda: wrong)
        await asyncio.to_thread(writer.purge)
        assert await writer.record([click("mina")]) == [Recorded.STORED]
        await writer.close()
        assert len(list(writer.log.evidence())) == 2
        assert writer.log.users_by_document(wrong - DAY_SECONDS) == {}
