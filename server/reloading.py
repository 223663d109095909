"""Puts another bundle or catalogue in the place of the one that is served, without missing a call.

The new ones are loaded, checked and encoded beside the old ones, by one thread of low priority. Only when they are
complete do calls go to them. Whatever is wrong with them leaves the old ones serving.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable

from server.catalogue.catalogue import load_catalogue
from server.engine import Engine, EngineSlot
from server.errors import ChajaError, NotReady, ReloadFailed
from server.loading import Loaded, load
from server.metrics import Metrics
from server.security.watched import WatchedFiles
from server.settings import Settings

log = logging.getLogger(__name__)

MANIFEST_FILE = "manifest.json"


class Reloader:
    """Loads what is to be served, at first and again. Used on the event loop."""

    def __init__(
        self,
        settings: Settings,
        slot: EngineSlot,
        metrics: Metrics,
        *,
        make_engine: Callable[[Loaded], Engine],
        serving: Callable[[], None] = lambda: None,
    ) -> None:
        """Takes what makes an engine of what was loaded, and what is to be told when it serves."""
        self._settings = settings
        self._slot = slot
        self._metrics = metrics
        self._make_engine = make_engine
        self._serving = serving
        self._cancelled = threading.Event()
        self._running: asyncio.Task[Engine] | None = None
        self._next: asyncio.Task[Engine] | None = None
        self._retiring: set[asyncio.Task[None]] = set()
        self._watched = WatchedFiles([settings.bundle / MANIFEST_FILE, settings.bundle, settings.catalogue])

    async def load(self, *, background: bool) -> Engine:
        """Loads bundle and catalogue, and serves them from then on.

        Raises:
            StartError: They cannot be served.
            LoadingCancelled: `cancel` was called.
        """
        engine = self._make_engine(await asyncio.to_thread(self._load, background=background))
        manifest = engine.manifest
        self._metrics.describe_model(
            name=manifest.name,
            revision=manifest.revision,
            quantization=manifest.quantization,
            encoder=engine.encoder_name,
        )
        self._metrics.catalogue_documents.set(len(engine.catalogue.documents))
        self._metrics.catalogue_vectors.set(len(engine.index))
        before = self._slot.swap(engine)
        self._serving()
        if before is not None:
            retiring = asyncio.create_task(before.close())
            self._retiring.add(retiring)
            retiring.add_done_callback(self._retiring.discard)
        return engine

    async def reload(self, reason: str) -> Engine:
        """Loads what lies on the disk from now on; whoever asks before that has begun gets the same result.

        Raises:
            ReloadFailed: It cannot be served; the old goes on.
            NotReady: The server is still loading for the first time.
        """
        served = self._slot.engine.manifest.revision
        if self._next is None:
            log.info("to be loaded anew, while revision %s serves: %s", served, reason)
            self._next = asyncio.create_task(self._reload_after(self._running))
            self._next.add_done_callback(self._ended)
        # Whoever asked may give up; the loading goes on.
        return await asyncio.shield(self._next)

    def reload_soon(self, reason: str) -> None:
        """Begins to load anew."""
        asyncio.create_task(self._reload_and_log(reason)).add_done_callback(lambda _: None)

    async def watch(self, every_seconds: float) -> None:
        """Looks again and again whether the files have changed, and loads them anew once they have come to rest."""
        changed = False
        while True:
            await asyncio.sleep(every_seconds)
            if self._watched.changed():
                changed = True
            elif changed and None not in self._watched.fingerprint():
                changed = False
                await self._reload_and_log("the files have changed")

    def cancel(self) -> None:
        """Ends a loading early, and any that is still to come."""
        self._cancelled.set()

    async def close(self) -> None:
        """Cancels a loading, and waits for the engines that were replaced."""
        self.cancel()
        unfinished = [task for task in (self._running, self._next) if task is not None]
        if unfinished:
            await asyncio.wait(unfinished)
        if self._retiring:
            await asyncio.wait(self._retiring)

    def _load(self, *, background: bool) -> Loaded:
        settings = self._settings
        return load(
            settings.bundle,
            load_catalogue(settings.catalogue),
            threads=1 if background else settings.workers,
            cancelled=self._cancelled,
            storage=settings.index_storage,
            native=settings.native,
            background=background,
        )

    async def _reload_after(self, before: asyncio.Task[Engine] | None) -> Engine:
        if before is not None:
            await asyncio.wait([before])
        self._running, self._next = self._next, None
        try:
            engine = await self.load(background=True)
        except ChajaError as error:
            raise ReloadFailed(f"{error}; what was served before goes on being served") from None
        log.info("serving model %s of revision %s", engine.manifest.name, engine.manifest.revision)
        return engine

    async def _reload_and_log(self, reason: str) -> None:
        try:
            await self.reload(reason)
        except NotReady:
            log.warning("not loaded anew, since the first loading still goes on: %s", reason)
        except Exception:  # It was logged where it ended, and the watch must go on.
            return

    def _ended(self, task: asyncio.Task[Engine]) -> None:
        if self._running is task:
            self._running = None
        error = None if task.cancelled() else task.exception()
        self._metrics.count_reload(failed=error is not None)
        if isinstance(error, ReloadFailed):
            log.error("%s", error)
        elif error is not None and not self._cancelled.is_set():
            log.error("loading anew failed", exc_info=error)
