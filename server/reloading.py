"""Loads the bundle, the catalogue file and the files of rules, at startup and whenever they change.

A thread of low priority loads and checks a new bundle, and indexes the store's documents with it, while the old one
serves. Calls go to the new bundle only when its index is complete. If anything fails, the old one keeps serving.
"""

import asyncio
import contextlib
import gc
import logging
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from server.batching.speed import Speed
from server.catalogue.location import text_of
from server.catalogue.store import Store
from server.encoding.cache import EmbeddingCache
from server.encoding.manifest import MANIFEST_FILE, Manifest, check_files, read_manifest
from server.engine import Engine, EngineSlot
from server.errors import BundleError, ChajaError, LoadingCancelled, NotReady, ReadOnly, ReloadFailed
from server.feedback.process import Studied, Task
from server.live.cancelling import LoadCancelled
from server.live.loading import Loaded, load
from server.live.opening import Opening
from server.live.snapshots import SnapshotFolder
from server.logs.audit import AuditLog
from server.memory import return_freed_memory
from server.metrics import Metrics
from server.progress import Progress
from server.security.watched import WatchedFiles
from server.settings import Settings
from server.writing.feedback import FeedbackWriter
from server.writing.files import Files
from server.writing.learning import Learning
from server.writing.live_catalogue import LiveCatalogue
from server.writing.reader import Reader
from server.writing.study import run_study
from server.writing.writer import Writer

log = logging.getLogger(__name__)

Result = TypeVar("Result")


class Reloader:
    """Loads and reloads the bundle and the files. Used on the event loop.

    Attributes:
        progress: The step of the load that is running, or of the last one.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        slot: EngineSlot,
        metrics: Metrics,
        *,
        audit: AuditLog,
        folder: Path,
        on_serving: Callable[[], None],
        opening: Opening | None = None,
    ) -> None:
        """Loads nothing yet. Indexes are built in `folder`. If `opening` is set, it is opening the first bundle.

        The reloader calls `on_serving` after each load, unless the committer has died. Raises StoreError.
        """
        self._settings = settings
        self._store = store
        self._slot = slot
        self._metrics = metrics
        self._audit = audit
        self._on_serving = on_serving
        self.progress = Progress()
        self._opening = opening
        self._files = Files.of(settings)
        self._folder = folder
        self._snapshots = SnapshotFolder(self._folder, store) if isinstance(settings.data, Path) else None
        cache = EmbeddingCache(settings.cache_bytes)
        metrics.caches.bytes.set_function(lambda: cache.held_bytes)
        self._new_engine = partial(Engine, settings=settings, cache=cache, speed=Speed(), metrics=metrics)
        self._catalogue: LiveCatalogue | None = None
        self._learning: Learning | None = None
        self._loaded = False
        self._cancelled = threading.Event()
        self._running: tuple[str, LoadCancelled] | None = None  # The load of a new bundle: its revision, what ends it.
        # One thread does all loading: no other work gets its low priority, and its memory is in one pool.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="loader")
        self._reloading = asyncio.Lock()
        self._next: asyncio.Task[Engine] | None = None
        self._importing: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._retiring: set[asyncio.Task[None]] = set()
        paths = [settings.bundle / MANIFEST_FILE, settings.bundle]
        self._watched = WatchedFiles([*paths, *self._files.paths])

    async def load(self) -> None:
        """Loads and serves the bundle and the files; raises StartError, or LoadingCancelled after `cancel`."""
        if self._files.paths:  # Report their errors before the slow load of the bundle.
            self.progress.begin("reading the catalogue file")
            await self._in_thread(self._files.check, self._store)
        self.progress.begin("opening the model")
        loaded = await self._in_thread(self._load, LoadCancelled(self._cancelled), background=False)
        self._put(loaded)
        self._catalogue = LiveCatalogue(
            self._store,
            loaded,
            self._slot,
            self._metrics,
            snapshots=self._snapshots,
            feedback_days=self._settings.feedback_days,
            keep_vectors_seconds=self._settings.keep_vectors_seconds,
        )
        self._learning = Learning(
            self._store, self._catalogue.writer, self._metrics.feedback, self._audit, study=self._study
        )
        await self._import_files()
        self._loaded = True
        self._slot.open()
        await self._in_thread(return_freed_memory)
        self._serving()
        self._learning.start(every_seconds=self._settings.learn_every_seconds)

    @property
    def catalogue(self) -> LiveCatalogue:
        """The served catalogue; raises NotReady before it is loaded."""
        if self._catalogue is None:
            raise NotReady("the server is still loading its model; try again in a few seconds")
        return self._catalogue

    def reader(self) -> Reader:
        """Returns the reader of documents; raises NotReady before the end of `load`."""
        self._check_loaded()
        return self.catalogue.reader

    def writer(self) -> Writer:
        """Returns the writer of documents; raises ReadOnly without --data, and NotReady before the end of `load`."""
        if self._settings.data is None:
            raise ReadOnly("the server does not accept writes: start it with --data")
        self._check_loaded()
        return self.catalogue.writer

    def feedback(self) -> FeedbackWriter:
        """Returns the writer of feedback; raises ReadOnly if none is kept, and NotReady before the end of `load`."""
        if self._settings.data is None or not self._settings.feedback_days:
            raise ReadOnly("the server keeps no feedback: start it with --data, and --feedback-days above 0")
        self._check_loaded()
        return self.catalogue.feedback

    def learning(self) -> Learning:
        """Returns what learns from feedback; raises the same errors as `feedback`."""
        self.feedback()
        assert self._learning is not None
        return self._learning

    async def reload(self, reason: str) -> Engine:
        """Loads the current files and serves them. Calls that arrive before the load starts share its result.

        Raises ReloadFailed if they cannot be served (the old ones keep serving), and NotReady before the end of `load`.
        """
        self._check_loaded()
        await self._stop_outdated()
        served = self._slot.engine.manifest.revision
        if self._next is None:
            log.info("reloading while revision %s serves: %s", served, reason)
            self._next = self._start(self._reload_after_others())
            self._next.add_done_callback(self._ended)
        # The load continues even if the caller gives up.
        return await asyncio.shield(self._next)

    def reload_soon(self, reason: str) -> None:
        """Starts a reload."""
        self._start(self._reload_and_log(reason))

    async def watch(self, every_seconds: float, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Reloads changed files once a later check finds no further change; 0 disables watching."""
        if not every_seconds:
            return
        # The bundle may have changed since it was opened, before the watch began.
        changed = {self._settings.bundle} if await self._in_thread(self._is_outdated) else set[Path]()
        warned = False
        while True:
            await sleep(every_seconds)
            if just_changed := self._watched.changed():
                changed.update(just_changed)
            elif changed and (missing := self._watched.missing()):
                if not warned:
                    log.warning("%s is missing: the loaded version keeps serving, but a restart needs it", missing[0])
                warned = True
            elif changed:
                names = ", ".join(sorted(str(path) for path in changed if path.name != MANIFEST_FILE))
                changed.clear()
                warned = False
                self.reload_soon(f"changed: {names}")  # Another change may have to stop this load.

    def cancel(self) -> None:
        """Cancels the current load and all later ones."""
        self._cancelled.set()
        if self._importing is not None:
            self._importing.cancel()

    async def close(self) -> None:
        """Cancels loading, and finishes the admitted changes."""
        self.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._learning is not None:
            await self._learning.close()
        if self._catalogue is not None:
            await self._catalogue.close()
        await asyncio.to_thread(self._thread.shutdown)

    async def retired(self) -> None:
        """Waits for the last calls of the replaced engines, and their threads."""
        if self._retiring:
            await asyncio.wait(self._retiring)

    def _check_loaded(self) -> None:
        if not self._loaded:
            raise NotReady("the server is still loading; try again in a few seconds")

    def _serving(self) -> None:
        if not self.catalogue.death.done() and not self.catalogue.lost.done():
            self._on_serving()

    async def _in_thread(self, work: Callable[..., Result], *arguments: object, **options: object) -> Result:
        """Runs work in the loader's thread, after its earlier work."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, partial(work, *arguments, **options))

    def _load(self, cancelled: LoadCancelled, *, background: bool) -> Loaded:
        if cancelled.is_set():
            raise LoadingCancelled
        return load(
            self._settings,
            self._store,
            folder=self._folder,
            cancelled=cancelled,
            progress=self.progress,
            opening=None if background else self._opening,
            snapshots=None if background else self._snapshots,
            background=background,
            on_build=self._metrics.index.graph_builds.count,
        )

    def _put(self, loaded: Loaded) -> None:
        """Directs calls to an engine of the loaded bundle."""
        manifest = loaded.bundle.manifest
        self._metrics.process.describe_model(
            name=manifest.name,
            revision=manifest.revision,
            quantization=manifest.quantization,
            encoder=loaded.bundle.encoder_name,
        )
        self._slot.swap(self._new_engine(loaded.bundle, loaded.index))

    def _start(self, work: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
        """Starts a task that `close` waits for."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _study(self) -> Studied:
        """Returns what feedback teaches; raises LearningFailed, also if the served bundle has been replaced on disk."""
        task = Task(
            text_of(self._store.location),
            str(self._settings.bundle),
            self._slot.engine.manifest.revision,
            dict(self._settings.weights),
            self._settings.cutting,
        )
        return await run_study(task)

    async def _import_files(self) -> None:
        if not self._files.paths:
            return
        if self._cancelled.is_set():
            raise LoadingCancelled
        self._importing = asyncio.create_task(self.catalogue.import_files(self._files, self.progress))
        try:
            await self._importing
        except asyncio.CancelledError:
            if self._cancelled.is_set():
                raise LoadingCancelled from None
            raise
        finally:
            self._importing = None

    async def _reload_after_others(self) -> Engine:
        async with self._reloading:
            self._next = None
            try:
                await self._reload()
            except ChajaError as error:
                raise ReloadFailed(f"{error}; the previous bundle and catalogue keep serving") from None
            except LoadingCancelled:
                if self._cancelled.is_set():
                    raise
                reason = "stopped, because another bundle has taken its place on disk"
                raise ReloadFailed(f"{reason}; the previous bundle and catalogue keep serving") from None
        engine = self._slot.engine
        name, revision, counts = engine.manifest.name, engine.manifest.revision, engine.index.state.counts
        log.info("serving model %s of revision %s: %d documents, %d vectors", name, revision, *counts[:2])
        return engine

    async def _reload(self) -> None:
        await self._in_thread(self._files.check, self._store)  # If one file is invalid, none is used.
        revision = await self._in_thread(self._revision_on_disk)
        if revision != self._slot.engine.manifest.revision or self._slot.broken:
            async with self.catalogue.loading(revision):
                await self._replace(revision)
            self._serving()
        await self._import_files()

    async def _replace(self, revision: str) -> None:
        """Loads the bundle on disk, which has this revision, and serves it."""
        cancelled = LoadCancelled(self._cancelled)
        self._running = revision, cancelled
        try:
            loaded = await self._in_thread(self._load, cancelled, background=True)
        finally:
            self._running = None
        if cancelled.is_set():  # Only after its last check: once it served, it could follow no changes.
            await asyncio.to_thread(loaded.index.close)
            raise LoadingCancelled
        before = self._slot.engine
        try:
            await self.catalogue.replace(loaded, partial(self._put, loaded))
        finally:
            if self._slot.engine is not before:
                retiring = asyncio.create_task(_retire(before))
                self._retiring.add(retiring)
                retiring.add_done_callback(self._retiring.discard)
            del before  # `_retire` frees it.

    async def _stop_outdated(self) -> None:
        """Stops the load of a bundle that is no longer on disk, so that operators can go back at once."""
        if self._running is not None:
            with contextlib.suppress(BundleError):
                on_disk = (await asyncio.to_thread(self._manifest_on_disk)).revision
                # The load may have ended meanwhile.
                if self._running is not None and on_disk != self._running[0]:
                    self._running[1].set()

    def _is_outdated(self) -> bool:
        """Returns whether the bundle on disk differs from the one that serves."""
        try:
            return self._manifest_on_disk().revision != self._slot.engine.manifest.revision
        except BundleError:
            return True

    def _manifest_on_disk(self) -> Manifest:
        return read_manifest(self._settings.bundle, cutting=self._settings.cutting)

    def _revision_on_disk(self) -> str:
        manifest = self._manifest_on_disk()
        check_files(self._settings.bundle, manifest)
        return manifest.revision

    async def _reload_and_log(self, reason: str) -> None:
        failed = True
        try:
            await self.reload(reason)
            failed = False
        except Exception:  # `_ended` has logged it, and the watch must continue.
            return
        finally:
            self._audit.reloaded(source=reason, failed=failed)

    def _ended(self, task: asyncio.Task[Engine]) -> None:
        error = None if task.cancelled() else task.exception()
        self._metrics.process.count_reload(failed=error is not None)
        if isinstance(error, ReloadFailed):
            log.error("%s", error)
        elif error is not None and not self._cancelled.is_set():
            log.error("reload failed", exc_info=error)


async def _retire(engine: Engine) -> None:
    """Closes an engine after its last call, and returns its memory to the system."""
    await engine.close()
    await asyncio.to_thread(engine.index.close)
    del engine
    gc.collect()  # A failed call may have left the engine in a cycle. Objects from startup are frozen.
    await asyncio.to_thread(return_freed_memory)
