"""A reloader with its collaborators and files, for the tests of reloads and of the watch."""

import contextlib
import shutil
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from server.catalogue.store import Store
from server.engine import EngineSlot
from server.errors import NotReady
from server.logs.audit import AuditLog
from server.metrics import Metrics
from server.ranking.options import SearchOptions
from server.reloading import Reloader
from server.settings import Settings
from tests.server.making import found_by, local

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
        slots = local(engine.index).state.slots
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


@contextlib.asynccontextmanager
async def loaded_server(directory: Path, bundle: Path) -> AsyncIterator[Server]:
    """Runs a server that has loaded its files."""
    server = Server(directory, bundle)
    await server.reloader.load()
    yield server
    await server.close()


def encode_until_stopped(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Makes the encoding of documents take until the load is stopped; returns the event that it has begun."""
    encoding = threading.Event()

    def encode(documents: object, bundle: object, *, map: object, check: Callable[[], None]) -> None:
        encoding.set()
        while True:
            check()
            time.sleep(0.01)

    monkeypatch.setattr("server.live.building.encode_documents", encode)
    return encoding
