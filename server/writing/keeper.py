"""Keeps store and live index in step for as long as the server runs, and tends both.

changes ──> committer ──> store, then live index
^
every few seconds: is the index worth building anew, or saving?
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import time
from collections.abc import Callable
from pathlib import Path

from server.catalogue.store import Store
from server.engine import EngineSlot
from server.errors import ChajaError, NotReady
from server.live.building import LoadingCancelled
from server.live.index import LiveIndex
from server.live.loading import Loaded
from server.live.snapshots import SnapshotFolder
from server.metrics import Metrics
from server.writing.committer import Committer
from server.writing.encoding import DocumentEncoder
from server.writing.file_import import import_file
from server.writing.reader import Reader
from server.writing.writer import Writer

log = logging.getLogger(__name__)

TENDING_SECONDS = 2.0
"""Time between two looks at what there is to do."""

SNAPSHOT_SECONDS = 600.0
"""Age at which a snapshot is replaced when there were changes; a new graph is saved sooner."""

DEAD_SLOTS = 1000
DEAD_SHARE = 0.3
"""The index is built anew when so many slots, and so many of all, belong to documents that are gone."""

FAILED_SECONDS = 30.0
"""Pause after something of this went wrong: it will not be better at once."""

PURGED_VERSIONS = 200
"""Versions that were replaced, and are deleted at a time."""

FORGOTTEN_VECTORS = 200
"""Vectors of other models that are deleted at a time."""


class Keeper:
    """Holds what the changes of one store go through. Used on the event loop."""

    def __init__(
        self,
        store: Store,
        slot: EngineSlot,
        metrics: Metrics,
        *,
        snapshots: SnapshotFolder | None,
        overlap_tokens: int,
        on_death: Callable[[], None],
    ) -> None:
        """Takes what is kept in step; without `snapshots` none are made. `on_death` is told when no change works."""
        self.store = store
        self.snapshots = snapshots
        self.reader = Reader(store, slot)
        self._slot = slot
        self._metrics = metrics
        self._encoder = DocumentEncoder(store, overlap_tokens=overlap_tokens)
        self._on_death = on_death
        self._committer: Committer | None = None
        self._writer: Writer | None = None
        self._tending: asyncio.Task[None] | None = None
        self._saved_sequence = -1
        self._saved = time.monotonic()
        self._new_graph = False
        self._obsolete: set[str] = set()
        self._loaded: Loaded

    @property
    def writer(self) -> Writer:
        """What writes documents.

        Raises:
            NotReady: Nothing is loaded yet.
        """
        if self._writer is None:
            raise NotReady("the server is still loading its model; try again in a few seconds")
        return self._writer

    @property
    def broken(self) -> bool:
        """Whether no change can be made any more."""
        return self._committer is not None and self._committer.dead

    def begin(self, loaded: Loaded) -> None:
        """Lets changes in, which the index of what was loaded follows from now on."""
        index = loaded.index
        self._loaded = loaded
        self._saved_sequence = loaded.saved_sequence
        self._new_graph = loaded.saved_sequence < 0
        self._committer = Committer(
            self.store, index, self._metrics, on_commit=self._committed, on_death=self._on_death
        )
        self._writer = Writer(self.store, self._slot, self._committer, self._encoder)
        self._describe()
        self._obsolete = self.store.revisions() - {index.revision}
        self._tending = asyncio.create_task(self._tend())

    def keep(self, revision: str) -> None:
        """Takes note that the vectors of a model are wanted, because it is being loaded."""
        self._obsolete.discard(revision)

    async def replace(self, loaded: Loaded, swap: Callable[[], None]) -> None:
        """Lets another index follow from now on. No change is made while `swap` lets searches have it, too."""
        await asyncio.to_thread(self._replace, loaded, swap, asyncio.get_running_loop())
        self._new_graph = True
        self._obsolete = self.store.revisions() - {loaded.index.revision}
        self._describe()

    async def import_file(self, path: Path) -> None:
        """Imports the catalogue's file; see `import_file`."""
        await import_file(path, self.store, self.writer)
        await self._measure()

    def graph_built(self) -> None:
        """Takes note that the index has a new graph. Any thread may say so."""
        if self._committer is not None:
            self._committer.refresh_soon()
            self._new_graph = True

    def recall_measured(self, recall: float) -> None:
        """Takes note of the recall of the index's graph. Any thread may say so."""
        self._metrics.index_recall.set(recall)
        if self._committer is not None:
            dense = self._committer.index.state.dense
            self._metrics.index_effort.set(dense.ef_search.at(dense.graph_count))

    async def close(self) -> None:
        """Finishes the changes that were let in, saves the index and closes the store."""
        try:
            if self._tending is not None:
                self._tending.cancel()
                await asyncio.wait([self._tending])
            if self._committer is not None:
                await asyncio.to_thread(self._committer.close)
                if self._committer.index.state.sequence != self._saved_sequence or self._new_graph:
                    await self._save(self._committer.index)
                await asyncio.to_thread(self._committer.index.close)
        finally:
            self._encoder.close()
            self.store.close()

    def _replace(self, loaded: Loaded, swap: Callable[[], None], loop: asyncio.AbstractEventLoop) -> None:
        assert self._committer is not None, "it has begun"
        swapped: concurrent.futures.Future[None] = concurrent.futures.Future()

        def swap_on_the_loop() -> None:
            try:
                swap()
            except BaseException as error:
                swapped.set_exception(error)
            else:
                swapped.set_result(None)

        try:
            with self._committer.lock:
                loaded.builder.catch_up(loaded.index)
                loop.call_soon_threadsafe(swap_on_the_loop)
                swapped.result()
                self._loaded, self._committer.index = loaded, loaded.index
        except BaseException:
            loaded.index.close()
            raise

    def _committed(self) -> None:
        self.reader.changed()
        self._describe()

    def _describe(self) -> None:
        assert self._committer is not None, "it has begun"
        state = self._committer.index.state
        self._metrics.catalogue_documents.set(state.slots.live_count)
        self._metrics.catalogue_vectors.set(len(state.dense))
        self._metrics.catalogue_sequence.set(state.sequence)
        self._metrics.index_effort.set(state.dense.ef_search.at(state.dense.graph_count))
        if not state.dense.graph_count:
            self._metrics.index_recall.set(1)

    async def _tend(self) -> None:
        while True:
            await asyncio.sleep(TENDING_SECONDS)
            try:
                await self._tend_once()
            except LoadingCancelled:  # The server stops.
                return
            except ChajaError as error:
                log.error("tending the index failed: %s", error)
                await asyncio.sleep(FAILED_SECONDS)
            except Exception:
                log.exception("tending the index failed")
                await asyncio.sleep(FAILED_SECONDS)

    async def _tend_once(self) -> None:
        """Does what there is to do. Between two times nothing here holds an index that may be replaced."""
        assert self._committer is not None, "it has begun"
        index = self._committer.index
        slots = index.state.slots
        if slots.dead_count > max(DEAD_SLOTS, DEAD_SHARE * len(slots.sequences)):
            await self._build_anew(index)
        elif self._new_graph or (
            index.state.sequence != self._saved_sequence and time.monotonic() - self._saved > SNAPSHOT_SECONDS
        ):
            self._new_graph, self._saved = False, time.monotonic()
            await self._save(index)
        await self._measure()
        await asyncio.to_thread(self._clear_away)

    async def _measure(self) -> None:
        """Lets searches know again what scores are worth, if they may not know any more."""
        assert self._committer is not None, "it has begun"
        index = self._committer.index
        if index.unmeasured:
            await asyncio.to_thread(index.measure)
            self._committer.refresh_soon()

    async def _build_anew(self, index: LiveIndex) -> None:
        log.info("building the index anew: %d of its slots are dead", index.state.slots.dead_count)
        await asyncio.to_thread(self._adopt, self._loaded)
        self._new_graph = True

    def _adopt(self, loaded: Loaded) -> None:
        assert self._committer is not None, "it has begun"
        built = unused = loaded.new_index()
        try:
            loaded.builder.catch_up(built)
            built.dense.wait()  # Searches have a graph now, and are not to be without one.
            loaded.builder.catch_up(built)
            with self._committer.lock:
                if self._committer.index is loaded.index:  # Otherwise another model has come meanwhile.
                    loaded.builder.catch_up(built)
                    unused = loaded.index.adopt(built)
        finally:
            unused.close()

    async def _save(self, index: LiveIndex) -> None:
        if self.snapshots is None:
            return
        state = index.state
        try:
            await asyncio.to_thread(self.snapshots.save, state, index.revision)
        except OSError as error:
            log.error("the index cannot be saved, so that the next start will take longer: %s", error)
            self._new_graph = True  # It is tried again with the next look.
            await asyncio.sleep(FAILED_SECONDS)
        else:
            self._saved_sequence = state.sequence

    def _clear_away(self) -> None:
        """Deletes what nobody asks for any more, some at a time: writers wait meanwhile."""
        while self.store.purge(limit=PURGED_VERSIONS) == PURGED_VERSIONS:
            time.sleep(0)
        for revision in list(self._obsolete):
            with self.store.write() as transaction:
                if not transaction.forget_vectors(revision, limit=FORGOTTEN_VECTORS):
                    self._obsolete.discard(revision)
