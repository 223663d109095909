"""Tests of the watch, which reloads changed files."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.catalogue.document import Document
from server.encoding.manifest import MANIFEST_FILE
from tests.server.logs.reading import events
from tests.server.making import until
from tests.server.reloading import DOCUMENT, Server, encode_until_stopped, loaded_server


@pytest.fixture
async def server(tmp_path: Path, tiny_bundle: Path) -> AsyncIterator[Server]:
    async with loaded_server(tmp_path, tiny_bundle) as server:
        yield server


class Checks:
    """Makes the watch check the files when a test says so, instead of at intervals."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._waiting, self._asked = asyncio.Event(), asyncio.Semaphore(0)

    async def sleep(self, _: float) -> None:
        self._waiting.set()
        await self._asked.acquire()

    async def check(self, *, times: int = 1, reloaded: bool = True) -> None:
        """Returns after the watch has checked the files, and, if `reloaded`, after the reloads that it has begun."""
        for _ in range(times):
            async with asyncio.timeout(20):
                await self._waiting.wait()
                self._waiting.clear()
                self._asked.release()
                await self._waiting.wait()
                if reloaded and (reloads := self._server.reloader._tasks):
                    await asyncio.wait(set(reloads))


@pytest.fixture
async def checks(server: Server) -> AsyncIterator[Checks]:
    checks = Checks(server)
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


async def test_the_watch_stops_the_load_of_a_bundle_that_is_gone(
    server: Server, checks: Checks, other_bundle: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoding = encode_until_stopped(monkeypatch)
    before = server.slot.engine
    server.put_bundle(other_bundle)
    await checks.check(times=2, reloaded=False)
    await until(encoding.is_set)
    server.put_bundle(tiny_bundle)
    await checks.check(reloaded=False)
    await checks.check()
    assert (server.reloads("failed"), server.reloads("ok")) == (1, 1)
    assert server.slot.engine is before


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
