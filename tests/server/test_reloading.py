import asyncio
import contextlib
import os
import shutil
import threading
import time
import weakref
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import prometheus_client
import pytest

from server.catalogue.document import Document
from server.catalogue.store import Store
from server.encoding.manifest import MANIFEST_FILE
from server.engine import EngineSlot
from server.errors import BundleError, NotReady, ReloadFailed
from server.live.loading import Loaded, load
from server.logs.audit import AuditLog
from server.metrics import Metrics
from server.ranking.options import SearchOptions
from server.reloading import Reloader
from server.settings import Settings
from tests.server.logs.reading import events
from tests.server.making import found_by, until

DOCUMENT = '{"id": "%s", "title": "환율"}\n'


class Server:
    """A reloader and its collaborators, with files that a test may change. The event loop must be running."""

    def __init__(self, directory: Path, bundle: Path, **options: Any) -> None:
        self.bundle, self.catalogue = directory / "bundle", directory / "catalogue.jsonl"
        shutil.copytree(bundle, self.bundle)
        self.catalogue.write_text(DOCUMENT % "first", encoding="utf-8")
        self.metrics, self.slot, self.said_serving = Metrics(), EngineSlot(on_broken=lambda: None), 0
        self.store = Store(directory, durable=False)
        options |= {"encode_workers": 1, "cache_bytes": 0, "longest_wait_seconds": 60.0}
        settings = Settings(bundle=self.bundle, catalogue=self.catalogue, **options)
        self.reloader = Reloader(
            settings,
            self.store,
            self.slot,
            self.metrics,
            audit=AuditLog(on=True),
            folder=directory / "index",
            on_serving=self._serving,
        )

    def _serving(self) -> None:
        self.said_serving += 1

    async def close(self) -> None:
        """Shuts down as the server does."""
        await self.reloader.close()
        await self.reloader.retired()
        with contextlib.suppress(NotReady):
            await self.slot.engine.close()
        self.store.close()

    def put_bundle(self, bundle: Path) -> None:
        """Replaces the served bundle with a copy of another one."""
        shutil.rmtree(self.bundle)
        shutil.copytree(bundle, self.bundle)

    @property
    def served(self) -> list[str]:
        """Returns the sorted ids of the documents that searches can find."""
        engine = self.slot.engine
        slots = engine.index.state.slots
        live = slots.sequences[slots.live].tolist()
        fetched = [self.store.fetch([sequence], engine.manifest.revision).get(sequence) for sequence in live]
        return sorted(each[0].id for each in fetched if each is not None)

    def reloads(self, result: str) -> float | None:
        return self.metrics.registry.get_sample_value("chaja_reloads_total", {"result": result})

    async def search(self) -> int:
        """Returns the number of documents that the current engine finds."""
        engine = self.slot.engine
        job = engine.query_job("환율", SearchOptions(100), remaining_seconds=20, bulk=False)
        assert await engine.run([job]) == [None]
        return len(found_by(job))


@pytest.fixture
async def server(tmp_path: Path, tiny_bundle: Path) -> AsyncIterator[Server]:
    server = Server(tmp_path, tiny_bundle)
    await server.reloader.load()
    yield server
    await server.close()


async def test_a_changed_catalogue_is_imported_into_the_engine_that_serves(server: Server) -> None:
    server.catalogue.write_text(DOCUMENT % "second" + DOCUMENT % "third", encoding="utf-8")
    before = server.slot.engine
    engine = await server.reloader.reload("a test")
    assert server.slot.engine is engine is before
    assert server.served == ["second", "third"]
    assert await server.search() == 2
    assert (server.reloads("ok"), server.reloads("failed")) == (1, 0)
    assert server.metrics.registry.get_sample_value("chaja_last_reload_failed") == 0
    assert server.metrics.registry.get_sample_value("chaja_catalogue_documents") == 2


async def test_a_new_bundle_and_a_new_catalogue_are_loaded_together(server: Server, other_bundle: Path) -> None:
    before = server.slot.engine
    server.put_bundle(other_bundle)
    server.catalogue.write_text(DOCUMENT % "first" + DOCUMENT % "second", encoding="utf-8")
    engine = await server.reloader.reload("a test")
    assert server.slot.engine is engine
    assert engine.manifest.revision != before.manifest.revision
    assert server.served == ["first", "second"]
    assert await server.search() == 2
    text = prometheus_client.generate_latest(server.metrics.registry).decode()
    assert text.count("\nchaja_model_info{") == 1, "only the new model is described"
    assert f'revision="{engine.manifest.revision}"' in text
    gone = weakref.ref(before)
    del before
    await until(lambda: gone() is None)


DAMAGES: dict[str, Callable[[Server], object]] = {
    "no bundle": lambda server: shutil.rmtree(server.bundle),
    "manifest": lambda server: (server.bundle / MANIFEST_FILE).write_text("{", encoding="utf-8"),
    "model": lambda server: (server.bundle / "query/model.onnx").write_bytes(b"no model"),
    "catalogue": lambda server: server.catalogue.write_text("{\n", encoding="utf-8"),
    "no catalogue": lambda server: server.catalogue.unlink(),
    "no utf-8": lambda server: server.catalogue.write_bytes(b"\xff\xfe\n"),
}


@pytest.mark.parametrize("damage", DAMAGES)
async def test_the_old_engine_keeps_serving_after_any_damage(
    server: Server, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    before = server.slot.engine
    DAMAGES[damage](server)
    with pytest.raises(ReloadFailed, match="the previous bundle and catalogue keep serving"):
        await server.reloader.reload("a test")
    assert server.slot.engine is before
    assert await server.search() == 1
    assert (server.reloads("ok"), server.reloads("failed")) == (0, 1)
    assert server.metrics.registry.get_sample_value("chaja_last_reload_failed") == 1
    (error,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert "keep serving" in error.getMessage()


def count_loads(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """Returns a list that records the settings of every later load."""
    loads: list[Settings] = []

    def counted(settings: Settings, *arguments: Any, **more: Any) -> Loaded:
        loads.append(settings)
        return load(settings, *arguments, **more)

    monkeypatch.setattr("server.reloading.load", counted)
    return loads


async def test_going_back_stops_the_load_of_a_new_bundle(
    server: Server, other_bundle: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoding = threading.Event()

    def encode_slowly(documents: object, bundle: object, *, map: object, check: Callable[[], None]) -> None:
        encoding.set()
        while True:
            check()
            time.sleep(0.01)

    monkeypatch.setattr("server.live.building.encode_documents", encode_slowly)
    before = server.slot.engine
    server.put_bundle(other_bundle)
    loading = asyncio.create_task(server.reloader.reload("forward"))
    await until(encoding.is_set)
    server.put_bundle(tiny_bundle)
    assert await server.reloader.reload("back") is before
    with pytest.raises(ReloadFailed, match="stopped, because another bundle has taken its place on disk; the previous"):
        await loading
    assert server.slot.engine is before
    assert await server.search() == 1


async def test_a_load_that_is_stopped_after_its_end_does_not_serve(
    server: Server, other_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load_until_stopped(*arguments: Any, cancelled: threading.Event, **options: Any) -> Loaded:
        loaded = load(*arguments, cancelled=cancelled, **options)
        cancelled.set()
        return loaded

    monkeypatch.setattr("server.reloading.load", load_until_stopped)
    before = server.slot.engine
    server.put_bundle(other_bundle)
    with pytest.raises(ReloadFailed, match="stopped, because another bundle has taken its place on disk"):
        await server.reloader.reload("forward")
    assert server.slot.engine is before


async def test_simultaneous_reloads_share_one_load(
    server: Server, other_bundle: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads = count_loads(monkeypatch)
    server.put_bundle(other_bundle)
    first, second = await asyncio.gather(server.reloader.reload("one"), server.reloader.reload("another"))
    assert first is second is server.slot.engine
    assert (len(loads), server.reloads("ok")) == (1, 1)
    server.put_bundle(tiny_bundle)
    assert await server.reloader.reload("a third, later") is not first
    assert len(loads) == 2


async def test_a_reload_of_the_same_bundle_creates_a_new_engine_if_a_worker_has_died(server: Server) -> None:
    before = server.slot.engine
    assert await server.reloader.reload("nothing has changed") is before
    assert server.said_serving == 1

    def broken(_: object) -> None:
        raise SystemExit

    before.bundle.encode = broken  # type: ignore[method-assign, assignment]
    job = before.query_job("deadly", SearchOptions(1), remaining_seconds=20, bulk=False)
    assert [type(outcome) for outcome in await before.run([job])] == [NotReady]
    await until(lambda: server.slot.broken)
    assert await server.reloader.reload("a worker has died") is not before
    assert server.said_serving == 2
    assert await server.search() == 1


async def test_a_cancelled_reload_continues(server: Server) -> None:
    server.catalogue.write_text(DOCUMENT % "second", encoding="utf-8")
    asking = asyncio.create_task(server.reloader.reload("a test"))
    await asyncio.sleep(0)
    asking.cancel()
    await until(lambda: server.reloads("ok"))
    assert server.served == ["second"]


class Checks:
    """Makes the watch check the files when a test says so, instead of at intervals."""

    def __init__(self) -> None:
        self._waiting, self._asked = asyncio.Event(), asyncio.Semaphore(0)

    async def sleep(self, _: float) -> None:
        self._waiting.set()
        await self._asked.acquire()

    async def check(self, *, times: int = 1) -> None:
        """Returns after the watch has checked the files, and has reloaded them if necessary."""
        for _ in range(times):
            async with asyncio.timeout(20):
                await self._waiting.wait()
                self._waiting.clear()
                self._asked.release()
                await self._waiting.wait()


@pytest.fixture
async def checks(server: Server) -> AsyncIterator[Checks]:
    checks = Checks()
    watching = asyncio.create_task(server.reloader.watch(1.0, sleep=checks.sleep))
    yield checks
    watching.cancel()


async def test_the_watch_detects_a_replaced_directory(
    server: Server, checks: Checks, other_bundle: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    old = server.slot.engine.manifest.revision
    await checks.check()
    assert server.reloads("ok") == 0, "nothing has changed"
    server.bundle.rename(tmp_path / "old")
    await checks.check(times=3)
    assert server.reloads("failed") == 0, "it waits while the directory is missing"
    assert [record.getMessage() for record in caplog.records] == [
        f"{server.bundle / MANIFEST_FILE} is missing: the loaded version keeps serving, but a restart needs it"
    ]
    shutil.copytree(other_bundle, server.bundle)
    await checks.check(times=2)
    assert server.reloads("ok") == 1
    assert server.slot.engine.manifest.revision != old
    assert f"changed: {server.bundle}\n" in caplog.text
    messages = [record.getMessage() for record in caplog.records if record.name == "server.reloading"]
    assert messages[-1].endswith("1 documents, 1 vectors")
    (audited,) = events(caplog, "server.audit")
    assert (audited["source"], audited["result"]) == (f"changed: {server.bundle}", "ok")


async def test_the_watch_detects_a_changed_link(
    server: Server, checks: Checks, other_bundle: Path, tmp_path: Path
) -> None:
    old = server.slot.engine.manifest.revision
    server.bundle.rename(tmp_path / "v1")
    server.bundle.symlink_to("v1")
    await checks.check(times=3)
    shutil.copytree(other_bundle, tmp_path / "v2")
    (tmp_path / "turned").symlink_to("v2")
    os.replace(tmp_path / "turned", server.bundle)  # noqa: PTH105  what Kubernetes does
    await checks.check(times=2)
    assert server.slot.engine.manifest.revision != old
    assert server.reloads("failed") == 0


async def test_the_watch_waits_until_a_file_stops_changing(server: Server, checks: Checks) -> None:
    with server.catalogue.open("w", encoding="utf-8") as file:
        for number in range(10):
            file.write((DOCUMENT % number)[:-4])
            file.flush()
            await checks.check()
            file.write((DOCUMENT % number)[-4:])
    assert server.reloads("failed") == server.reloads("ok") == 0
    await checks.check(times=2)
    assert len(server.served) == 10
    assert server.reloads("failed") == 0


async def test_a_bundle_that_is_copied_with_its_manifest_first_is_served_once_it_is_complete(
    server: Server, checks: Checks, other_bundle: Path
) -> None:
    old = server.slot.engine.manifest.revision
    for path in sorted(other_bundle.rglob("*.*"), key=lambda path: path.name != MANIFEST_FILE):
        assert server.slot.engine.manifest.revision == old
        shutil.copy(path, server.bundle / path.relative_to(other_bundle))
        await checks.check(times=3)  # Each time it appears to be complete.
    assert server.slot.engine.manifest.revision != old


async def test_the_watch_survives_any_failure(
    server: Server, checks: Checks, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> list[Document]:
        raise MemoryError("too large")

    with monkeypatch.context() as patch:
        patch.setattr("server.writing.files.read_difference", broken)
        server.catalogue.write_text(DOCUMENT % "second", encoding="utf-8")
        await checks.check(times=2)
    assert server.reloads("failed") == 1
    assert "too large" in caplog.text
    server.catalogue.write_text(DOCUMENT % "the third", encoding="utf-8")
    await checks.check(times=2)
    assert server.served == ["the third"]


async def test_a_load_is_cancelled_when_the_server_stops(server: Server) -> None:
    server.reloader.reload_soon("a test")
    await asyncio.sleep(0)
    await asyncio.wait_for(server.reloader.close(), 10)
    assert server.served == ["first"]


async def test_closing_does_not_wait_for_a_call_of_a_replaced_engine(server: Server, other_bundle: Path) -> None:
    before = server.slot.engine
    before._calls, before._unused = 1, asyncio.Event()  # A call whose worker hangs.
    server.put_bundle(other_bundle)
    await server.reloader.reload("a test")
    await asyncio.wait_for(server.reloader.close(), 10)
    before._calls = 0
    before._unused.set()


async def test_closing_ends_the_build_of_a_graph(
    tmp_path: Path, tiny_bundle: Path, other_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    endless = tmp_path / "endless"
    endless.write_text("#!/bin/sh\nexec sleep 30\n")
    endless.chmod(0o700)
    monkeypatch.setattr("server.vectors.building.sys", SimpleNamespace(executable=str(endless)))
    server = Server(tmp_path, tiny_bundle, hnsw_from_vectors=1)
    await server.reloader.load()
    server.put_bundle(other_bundle)
    server.reloader.reload_soon("a test")
    await until(lambda: len(list(tmp_path.glob("index/graphs-*/*.npy"))) == 2)  # The new index builds its graph too.
    await asyncio.wait_for(server.close(), 10)


async def test_a_reload_during_the_first_import_is_rejected(tmp_path: Path, tiny_bundle: Path) -> None:
    server = Server(tmp_path, tiny_bundle)
    server.catalogue.write_text("".join(DOCUMENT % number for number in range(200)), encoding="utf-8")
    loading = asyncio.create_task(server.reloader.load())
    await until(lambda: server.reloader._importing)
    with pytest.raises(NotReady, match="still loading"):
        await server.reloader.reload("a test")
    await loading
    assert (len(server.served), server.said_serving) == (200, 1)
    await server.close()


async def test_a_failed_first_load_raises_its_cause(tmp_path: Path, tiny_bundle: Path) -> None:
    server = Server(tmp_path, tiny_bundle)
    shutil.rmtree(server.bundle)
    with pytest.raises(BundleError):
        await server.reloader.load()
    assert server.slot.queue_texts == 0
    await server.close()
