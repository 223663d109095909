import asyncio
import shutil
import threading
import weakref
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import prometheus_client
import pytest

from server.encoding.manifest import MANIFEST_FILE
from server.errors import BundleError, NotReady, ReloadFailed
from server.live.loading import Loaded, load
from server.ranking.options import SearchOptions
from server.settings import Settings
from tests.server.making import until
from tests.server.reloading import DOCUMENT, Server, encode_until_stopped, loaded_server


@pytest.fixture
async def server(tmp_path: Path, tiny_bundle: Path) -> AsyncIterator[Server]:
    async with loaded_server(tmp_path, tiny_bundle) as server:
        yield server


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
    encoding = encode_until_stopped(monkeypatch)
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
