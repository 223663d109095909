"""Keeps store and live index in step for as long as the server runs, and tends both.

It looks every few seconds whether the index is worth rebuilding or saving.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path

from server.catalogue.store import Store
from server.engine import EngineSlot
from server.errors import ChajaError
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


class LiveCatalogue:
    """Store and live index in step, and what reads and writes them. Used on the event loop."""

    def __init__(
        self,
        store: Store,
        loaded: Loaded,
        slot: EngineSlot,
        metrics: Metrics,
        *,
        snapshots: SnapshotFolder | None,
        overlap_tokens: int,
        on_broken: Callable[[], None],
    ) -> None:
        """Accepts changes, which the index of what was loaded follows from now on.

        Without `snapshots` the index is not saved. `on_broken` is called when no change can be made any more.
        """
        self._store = store
        self._loaded = loaded
        self._metrics = metrics
        self._snapshots = snapshots
        self._encoder = DocumentEncoder(store, overlap_tokens=overlap_tokens)
        self._committer = Committer(store, loaded.index, metrics, on_commit=self._committed, on_death=on_broken)
        self.reader = Reader(store, slot)
        self.writer = Writer(store, slot, self._committer, self._encoder)
        self._saved_sequence = loaded.saved_sequence
        self._saved = time.monotonic()
        self._graph_generation = loaded.index.dense.graph_generation
        self._saved_graph_vectors = loaded.index.state.dense.graph_count
        self._new_index = loaded.saved_sequence < 0
        self._obsolete = store.revisions() - {loaded.index.revision}
        self._describe()
        self._tending = asyncio.create_task(self._tend())

    @property
    def broken(self) -> bool:
        """Whether no change can be made any more."""
        return self._committer.dead

    def keep(self, revision: str) -> None:
        """Takes note that the vectors of a model are wanted, because it is being loaded."""
        self._obsolete.discard(revision)

    async def replace(self, loaded: Loaded, swap: Callable[[], None]) -> None:
        """Lets another index follow from now on. No change is made while `swap` lets searches have it, too."""
        await asyncio.to_thread(self._replace, loaded, swap, asyncio.get_running_loop())
        self._new_index = True
        self._obsolete = self._store.revisions() - {loaded.index.revision}
        self._describe()

    async def import_file(self, path: Path) -> None:
        """Imports the catalogue's file; see `import_file`."""
        await import_file(path, self._store, self.writer)
        await self._measure()

    async def close(self) -> None:
        """Finishes the changes that were admitted, and saves the index."""
        try:
            self._tending.cancel()
            await asyncio.wait([self._tending])
            self._committer.refresh_soon()  # A graph may just have been built.
            await asyncio.to_thread(self._committer.close)
            if self._committer.index.state.sequence != self._saved_sequence or self._has_new_graph:
                await self._save(self._committer.index)
            await asyncio.to_thread(self._committer.index.close)
        finally:
            self._encoder.close()

    @property
    def _has_new_graph(self) -> bool:
        """Whether the index, or its graph, is another one than in the snapshot."""
        return self._new_index or self._committer.index.state.dense.graph_count != self._saved_graph_vectors

    def _replace(self, loaded: Loaded, swap: Callable[[], None], loop: asyncio.AbstractEventLoop) -> None:
        async def swap_on_the_loop() -> None:
            swap()

        try:
            with self._committer.lock:
                loaded.builder.catch_up(loaded.index)
                asyncio.run_coroutine_threadsafe(swap_on_the_loop(), loop).result()
                self._loaded, self._committer.index = loaded, loaded.index
        except BaseException:
            loaded.index.close()
            raise

    def _committed(self) -> None:
        self.reader.changed()
        self._describe()

    def _describe(self) -> None:
        state = self._committer.index.state
        self._metrics.catalogue_documents.set(state.slots.live_count)
        self._metrics.catalogue_vectors.set(len(state.dense))
        self._metrics.catalogue_sequence.set(state.sequence)
        self._metrics.index_ef_search.set(state.dense.ef_search.at(state.dense.graph_count))
        self._metrics.index_recall.set(self._committer.index.dense.recall if state.dense.graph_count else 1)

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
        index = self._committer.index
        if index.dense.graph_generation != self._graph_generation:
            self._graph_generation = index.dense.graph_generation
            self._committer.refresh_soon()
        slots = index.state.slots
        if slots.dead_count > max(DEAD_SLOTS, DEAD_SHARE * len(slots.sequences)):
            log.info("building the index anew: %d of its slots are dead", slots.dead_count)
            await asyncio.to_thread(self._adopt, self._loaded)
            self._new_index = True
        elif self._has_new_graph or (
            index.state.sequence != self._saved_sequence and time.monotonic() - self._saved > SNAPSHOT_SECONDS
        ):
            self._new_index, self._saved = False, time.monotonic()
            await self._save(index)
        await self._measure()
        self._describe()
        await asyncio.to_thread(self._clear_away)

    async def _measure(self) -> None:
        """Lets searches know again what scores are worth, if they may not know any more."""
        index = self._committer.index
        if index.unmeasured:
            await asyncio.to_thread(index.measure)
            self._committer.refresh_soon()

    def _adopt(self, loaded: Loaded) -> None:
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
        if self._snapshots is None:
            return
        state = index.state
        try:
            await asyncio.to_thread(self._snapshots.save, state, index.revision)
        except OSError as error:
            log.error("the index cannot be saved, so that the next start will take longer: %s", error)
            self._new_index = True  # It is tried again with the next look.
            await asyncio.sleep(FAILED_SECONDS)
        else:
            self._saved_sequence, self._saved_graph_vectors = state.sequence, state.dense.graph_count

    def _clear_away(self) -> None:
        """Deletes what nobody asks for any more, some at a time: writers wait meanwhile."""
        while self._store.purge(limit=PURGED_VERSIONS) == PURGED_VERSIONS:
            time.sleep(0)
        for revision in list(self._obsolete):
            with self._store.write() as transaction:
                if not transaction.forget_vectors(revision, limit=FORGOTTEN_VECTORS):
                    self._obsolete.discard(revision)
