"""Keeps the store and the live index in step while the server runs, and maintains both.

Every few seconds it checks whether to rebuild or save the index, and purges the store.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable

from server.catalogue.store import Store
from server.engine import EngineSlot
from server.errors import ChajaError, LoadingCancelled, StoreUnavailable
from server.live.index import LiveIndex
from server.live.loading import Loaded
from server.live.snapshots import SnapshotFolder
from server.metrics import Metrics
from server.progress import Progress
from server.writing.committer import Committer
from server.writing.demand import Demand
from server.writing.encoding import DocumentEncoder
from server.writing.feedback import FeedbackWriter
from server.writing.files import Files
from server.writing.following import Follower
from server.writing.purging import Purger
from server.writing.reader import Reader
from server.writing.writer import Writer

log = logging.getLogger(__name__)

MAINTENANCE_SECONDS = 2.0
"""Time between two rounds of maintenance."""

SNAPSHOT_SECONDS = 600.0
"""Age at which a snapshot is replaced if there are changes. A new graph is saved sooner."""

DEAD_SLOTS = 1000
DEAD_VECTORS = 10_000
DEAD_SHARE = 0.3
"""The index is rebuilt when the dead slots, or their vectors, exceed both this number and this share of all. A slot may
have thousands of vectors."""

FAILED_SECONDS = 30.0
"""Pause after an error in maintenance."""


class LiveCatalogue:
    """The store, its live index, their reader and writers. Used on the event loop.

    `death` is done when an error has ended the committer: no more changes can be made. `lost` is that of the follower.
    """

    def __init__(
        self,
        store: Store,
        loaded: Loaded,
        slot: EngineSlot,
        metrics: Metrics,
        *,
        snapshots: SnapshotFolder | None,
        feedback_days: int,
        keep_vectors_seconds: float,
    ) -> None:
        """Starts to accept changes and to apply them to the loaded index. Without `snapshots` it is not saved.

        Feedback is kept for `feedback_days`, and vectors of replaced models for `keep_vectors_seconds`.
        """
        self._store = store
        self._loaded = loaded
        self._metrics = metrics
        self._snapshots = snapshots
        self._encoder = DocumentEncoder(store)
        self._committer = Committer(
            store,
            loaded.index,
            metrics,
            on_commit=self._committed,
            catch_up=self._catch_up,
        )
        self.death = self._committer.death
        self._follower = Follower(store, self._committer)
        self.lost = self._follower.lost
        metrics.store.change_lag_seconds.set_function(lambda: self.lag_seconds)
        self.reader = Reader(store, slot, catch_up=self._follower.look)
        self.writer = Writer(store, slot, self._committer, self._encoder)
        self.feedback = FeedbackWriter(store, metrics.feedback, keep_days=feedback_days)
        self._demand = Demand(self.feedback.log)
        self._saved_sequence = loaded.saved_sequence
        self._saved = time.monotonic()
        self._next_save = 0.0  # After a failure it is later, so that maintenance and `close` go on.
        self._graph_generation = loaded.index.dense.graph_generation
        self._saved_graph_vectors = loaded.index.state.dense.graph_count
        self._new_index = loaded.saved_sequence < 0
        self._measuring = asyncio.Lock()
        self._purger = Purger(store, loaded.index.revision, keep_vectors_seconds=keep_vectors_seconds)
        self._describe()
        self._count_vectors()
        if snapshots is not None:
            metrics.index.snapshot_timestamp_seconds.set(snapshots.saved_seconds())
        self._maintaining = asyncio.create_task(self._maintain())

    @property
    def lag_seconds(self) -> float:
        """Time since searches have lacked changes of the store, or since the store has been away."""
        return max(self._committer.lag_seconds, self._follower.away_seconds)

    @contextlib.asynccontextmanager
    async def loading(self, revision: str) -> AsyncIterator[None]:
        """Keeps the vectors of a model within the context, beside those of the served one."""
        await _in_thread(self._purger.use, self._loaded.index.revision, revision)
        try:
            yield
        finally:
            await _in_thread(self._purger.use, self._loaded.index.revision)

    async def replace(self, loaded: Loaded, swap: Callable[[], None]) -> None:
        """Replaces the index. `swap` makes searches use the new one; meanwhile, no change is made."""
        await asyncio.to_thread(self._replace, loaded, swap, asyncio.get_running_loop())
        self._new_index = True
        await _in_thread(self._purger.use, loaded.index.revision)
        self._committed()

    async def import_files(self, files: Files, progress: Progress) -> None:
        """Imports what has changed in files since their last import; see `Files.import_all`."""
        await files.import_all(self._store, self.writer, progress)
        await self._measure()
        await _in_thread(self._count_vectors)

    async def close(self) -> None:
        """Finishes the accepted changes and saves the index."""
        try:
            self._maintaining.cancel()
            await asyncio.wait([self._maintaining])
            await asyncio.to_thread(self._follower.close)
            await self.feedback.close()
            self._committer.refresh_soon()  # A graph may just have been built.
            await asyncio.to_thread(self._committer.close)
            if self._committer.index.state.sequence != self._saved_sequence or self._has_new_graph:
                await self._save(self._committer.index)
            await asyncio.to_thread(self._committer.index.close)
        finally:
            self._encoder.close()

    @property
    def _has_new_graph(self) -> bool:
        """Whether the index or its graph differs from the one in the snapshot."""
        return self._new_index or self._committer.index.state.dense.graph_count != self._saved_graph_vectors

    def _replace(self, loaded: Loaded, swap: Callable[[], None], loop: asyncio.AbstractEventLoop) -> None:
        async def swap_on_the_loop() -> None:
            swap()

        try:
            with self._committer.lock:
                loaded.builder.catch_up(loaded.index)
                if demands := self._committer.index.demands:
                    loaded.index.weigh(demands)
                    loaded.index.refresh()
                asyncio.run_coroutine_threadsafe(swap_on_the_loop(), loop).result()
                self._loaded, self._committer.index = loaded, loaded.index
        except BaseException:
            loaded.index.close()
            raise

    def _catch_up(self, index: LiveIndex) -> None:
        self._loaded.builder.follow(index)

    def _committed(self) -> None:
        self.reader.changed()
        self._describe()

    def _describe(self) -> None:
        state = self._committer.index.state
        self._metrics.index.documents.set(state.slots.live_count)
        self._metrics.index.live_vectors.set(state.live_vectors)
        self._metrics.index.sequence.set(state.sequence)
        self._metrics.index.ef_search.set(state.dense.ef_search.at(state.dense.graph_count))
        for query, recall in self._committer.index.dense.recall.items():
            self._metrics.index.recall[query].set(recall if state.dense.graph_count else 1)

    def _count_vectors(self) -> None:
        """Counts the vectors by part. It takes milliseconds for a million vectors."""
        for part, count in self._committer.index.state.vectors_by_part().items():
            self._metrics.index.vectors[part].set(count)

    async def _maintain(self) -> None:
        while True:
            await asyncio.sleep(MAINTENANCE_SECONDS)
            try:
                await self._maintain_once()
            except LoadingCancelled:  # The server is shutting down.
                return
            except StoreUnavailable:  # The follower logs it.
                continue
            except ChajaError as error:
                log.error("maintaining the index failed: %s", error)
                await asyncio.sleep(FAILED_SECONDS)
            except Exception:
                log.exception("maintaining the index failed")
                await asyncio.sleep(FAILED_SECONDS)

    async def _maintain_once(self) -> None:
        """Runs one round of maintenance. Keeps no reference to the index, so that a replaced one is freed."""
        if self._follower.is_away:
            return
        index = self._committer.index
        if index.dense.graph_generation != self._graph_generation:
            self._graph_generation = index.dense.graph_generation
            self._committer.refresh_soon()
        slots, vectors = index.state.slots, len(index.state.dense)
        dead_vectors = vectors - index.state.live_vectors
        if slots.dead_count > max(DEAD_SLOTS, DEAD_SHARE * len(slots.sequences)) or (
            dead_vectors > max(DEAD_VECTORS, DEAD_SHARE * vectors)
        ):
            log.info("rebuilding the index: %d of its slots and %d vectors are dead", slots.dead_count, dead_vectors)
            await _in_thread(self._rebuild, self._loaded)
            self._new_index = True
            self.reader.changed()
        elif time.monotonic() >= self._next_save and (
            self._has_new_graph
            or (index.state.sequence != self._saved_sequence and time.monotonic() - self._saved > SNAPSHOT_SECONDS)
        ):
            self._new_index, self._saved = False, time.monotonic()
            await self._save(index)
        await self._measure()
        self._describe()
        await _in_thread(self._count_vectors)
        await _in_thread(self._purge)
        await _in_thread(self.feedback.purge)
        await _in_thread(self._follow_demand)

    async def _measure(self) -> None:
        """Measures the baseline of scores again if the index has changed much, and publishes it."""
        async with self._measuring:
            index = self._committer.index
            if index.unmeasured:
                await _in_thread(index.measure)
                self._committer.refresh_soon()

    def _follow_demand(self) -> None:
        """Orders suggestions by the newest feedback."""
        demands = self._demand.newest()
        if demands is None or demands == self._committer.index.demands:
            return
        with self._committer.lock:
            self._committer.index.weigh(demands)
            self._committer.index.refresh()

    def _rebuild(self, loaded: Loaded) -> None:
        started = time.monotonic()
        try:
            self._rebuild_without_dead(loaded)
        except LoadingCancelled:
            raise
        except Exception:
            self._metrics.index.rebuilds.count(failed=True, seconds=time.monotonic() - started)
            raise
        self._metrics.index.rebuilds.count(failed=False, seconds=time.monotonic() - started)

    def _rebuild_without_dead(self, loaded: Loaded) -> None:
        built = unused = loaded.new_index()
        try:
            loaded.builder.catch_up(built)
            loaded.builder.wait_for_graph(built)  # Searches use a graph now and must not lose it.
            loaded.builder.catch_up(built)
            with self._committer.lock:
                if self._committer.index is loaded.index:  # Otherwise another model has replaced it.
                    loaded.builder.catch_up(built)
                    unused = loaded.index.adopt(built)
        finally:
            unused.close()

    async def _save(self, index: LiveIndex) -> None:
        if self._snapshots is None:
            return
        state = index.state
        try:
            await _in_thread(self._snapshots.save, state, index.revision)
        except OSError as error:
            log.error("the index cannot be saved; the next start will take longer: %s", error)
            self._new_index, self._next_save = True, time.monotonic() + FAILED_SECONDS
        else:
            self._saved_sequence, self._saved_graph_vectors = state.sequence, state.dense.graph_count
            self._metrics.index.snapshot_timestamp_seconds.set(self._snapshots.saved_seconds())

    def _purge(self) -> None:
        while self._purger.purge():
            self._loaded.builder.check()
            time.sleep(0)


async def _in_thread(work: Callable[..., object], *arguments: object) -> None:
    """Runs work in a thread. A cancelled caller also waits until it ends, because the work uses the store."""
    running = asyncio.create_task(asyncio.to_thread(work, *arguments))
    try:
        await asyncio.wait([running])
    finally:
        await asyncio.wait([running])
        running.exception()  # Mark it as retrieved, in case the caller is cancelled.
    running.result()
