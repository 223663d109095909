"""The life of the server: listen, load, serve, drain."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import prometheus_client

from server.batching.speed import Speed
from server.catalogue.database import locked
from server.catalogue.store import Store
from server.encoding.cache import EmbeddingCache
from server.engine import Engine, EngineOptions, EngineSlot
from server.errors import AddressError, ReadOnly, first_line
from server.live.building import LoadingCancelled
from server.live.loading import Loaded, LoadingOptions
from server.live.opening import Opening
from server.live.snapshots import SnapshotFolder
from server.metrics import Metrics
from server.reloading import Reloader
from server.rpc.server import METHODS, RpcServer
from server.settings import Address, Settings
from server.vectors.dense import DenseOptions
from server.writing.keeper import Keeper
from server.writing.reader import Reader
from server.writing.writer import Writer

log = logging.getLogger(__name__)

ENDING_SECONDS = 5.0
"""Within which threads end that have nothing to do any more; one that encodes is done with its batch by then."""

COLLECTED_OBJECTS = 10_000
"""New objects between two collections: with Python's 700 each call would pay for one, and hundreds may be in flight."""

SWITCH_SECONDS = 0.001
"""How long a thread of Python waits for another until it asks for its turn; by default five times as long."""


async def serve(settings: Settings, opening: Opening) -> None:
    """Serves until SIGTERM or SIGINT, then drains; a second signal ends the process at once.

    Args:
        settings: How to serve.
        opening: The bundle of the settings, which is being opened.

    Raises:
        StartError: The server cannot start.
    """
    with contextlib.ExitStack() as stack:
        if settings.data is None:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chaja-")))
        else:
            directory = settings.data
            stack.enter_context(locked(directory))
        store = await asyncio.to_thread(Store, directory, durable=settings.data is not None)
        stack.callback(store.close)
        await _serve(settings, opening, store)


async def _serve(settings: Settings, opening: Opening, store: Store) -> None:
    """Serves a store."""
    sys.setswitchinterval(SWITCH_SECONDS)
    stopping = asyncio.Event()
    metrics, slot = Metrics(METHODS), EngineSlot()
    metrics.queue_texts.set_function(lambda: slot.queue_texts)

    # They must not know the engine: with a cycle, one that was replaced would stay in memory, since it is frozen below.
    def worker_died() -> None:
        if slot.broken:
            rpc.fail()

    def committer_died() -> None:
        rpc.fail()

    def serving() -> None:
        if not keeper.broken:
            rpc.serve()

    def writer() -> Writer:
        if settings.data is None:
            raise ReadOnly("the server has no directory to keep documents in: start it with --data")
        return keeper.writer

    def reader() -> Reader:
        assert slot.engine, "it is loaded"
        return keeper.reader

    folder = store.directory / "index"
    keeper = Keeper(
        store,
        slot,
        metrics,
        snapshots=SnapshotFolder(folder, store) if settings.data is not None else None,
        overlap_tokens=settings.passage_overlap_tokens,
        on_death=committer_died,
    )
    loading = _loading_options(settings, folder, keeper, metrics)
    make_engine = _engine_maker(settings, metrics, on_death=worker_died)
    reloader = Reloader(
        settings, loading, keeper, slot, metrics, make_engine=make_engine, serving=serving, opening=opening
    )
    rpc = RpcServer(settings, slot, reloader, metrics, writer=writer, reader=reader, fetch=store.fetch)
    _handle_signals(stopping, reloader)
    with _metrics_server(metrics, settings.metrics) as metrics_address:
        address = await rpc.listen(settings.listen)
        log.info("gRPC on %s, metrics on http://%s/metrics; loading", address, metrics_address)
        wait_seconds = 0.0
        try:
            if not await _load_first(reloader, stopping):
                log.info("stopped while loading")
                return
            gc.collect()
            gc.freeze()  # What was loaded stays: collections that went through all of it would hold calls up.
            gc.set_threshold(COLLECTED_OBJECTS)
            state = slot.engine.index.state
            log.info("serving %d documents, %d vectors", state.slots.live_count, len(state.dense))
            watching = asyncio.create_task(_watch(reloader, settings.watch_seconds))
            await stopping.wait()
            watching.cancel()
            wait_seconds = settings.drain_wait_seconds
            log.info("draining: %g seconds of notice, then at most %g", wait_seconds, settings.drain_seconds)
        finally:
            await rpc.stop(wait_seconds=wait_seconds, grace_seconds=settings.drain_seconds)
            await reloader.close()
            await keeper.close()
        await _end_threads(slot)
        _ignore_signals()
        log.info("stopped")


def _engine_maker(settings: Settings, metrics: Metrics, *, on_death: Callable[[], None]) -> Callable[[Loaded], Engine]:
    """Returns what makes an engine of what was loaded; cache and speed outlive it."""
    cache, speed = EmbeddingCache(settings.cache_bytes), Speed()
    metrics.cache_bytes.set_function(lambda: cache.held_bytes)
    options = EngineOptions(
        workers=settings.workers,
        max_batch_tokens=settings.max_batch_tokens,
        longest_wait_seconds=settings.longest_wait_seconds,
        log_texts=settings.log_texts,
    )
    return partial(Engine, options=options, cache=cache, speed=speed, metrics=metrics, on_death=on_death)


def _loading_options(settings: Settings, folder: Path, keeper: Keeper, metrics: Metrics) -> LoadingOptions:
    return LoadingOptions(
        bundle=settings.bundle,
        native=settings.native,
        storage=settings.index_storage,
        weights=settings.weights,
        overlap_tokens=settings.passage_overlap_tokens,
        dense=DenseOptions(
            exact_below=settings.graph_from_vectors,
            ef_search=settings.graph_effort,
            searchers=settings.workers,
            min_recall=settings.min_recall,
            on_graph=keeper.graph_built,
            on_recall=keeper.recall_measured,
        ),
        folder=folder,
    )


def _handle_signals(stopping: asyncio.Event, reloader: Reloader) -> None:
    """Lets SIGTERM and SIGINT begin the drain, or end it if it has begun; lets SIGHUP load anew."""
    loop = asyncio.get_running_loop()

    def stop(number: signal.Signals) -> None:
        if stopping.is_set():
            log.warning("a second signal: ending at once")
            logging.shutdown()
            os._exit(128 + number)
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)
    loop.add_signal_handler(signal.SIGHUP, reloader.reload_soon, "SIGHUP")


def _ignore_signals() -> None:
    """Lets a signal that comes too late, as from a supervisor that sends two, not spoil the exit code."""
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().remove_signal_handler(number)
        signal.signal(number, signal.SIG_IGN)


async def _load_first(reloader: Reloader, stopping: asyncio.Event) -> bool:
    """Loads everything off the event loop; returns False if `stopping` is set before it is done."""
    loading = asyncio.create_task(reloader.load())
    stop = asyncio.create_task(stopping.wait())
    await asyncio.wait([loading, stop], return_when=asyncio.FIRST_COMPLETED)
    if stop.done():
        reloader.cancel()
    stop.cancel()
    try:
        await loading
        return True
    except LoadingCancelled:
        return False


async def _watch(reloader: Reloader, every_seconds: float) -> None:
    if every_seconds:
        await reloader.watch(every_seconds)


async def _end_threads(slot: EngineSlot) -> None:
    """Waits for the threads of the engine; ends the process where one hangs, since nothing else ends a thread."""
    try:
        async with asyncio.timeout(ENDING_SECONDS):
            await slot.engine.close()
    except TimeoutError:
        log.warning("a thread is not done %g seconds after the drain; stopped without it", ENDING_SECONDS)
        logging.shutdown()
        os._exit(0)


@contextlib.contextmanager
def _metrics_server(metrics: Metrics, address: Address) -> Iterator[Address]:
    """Serves the metrics over HTTP in a thread of its own; gives the address with the port that the system chose."""
    try:
        server, thread = prometheus_client.start_http_server(address.port, address.host, metrics.registry)
    except (OSError, UnicodeError) as error:  # A host may be too odd even to be looked up.
        reason = getattr(error, "strerror", None) or first_line(error)
        raise AddressError(f"cannot serve metrics on {address}: {reason}; choose another with --metrics") from None
    try:
        yield Address(address.host, server.server_port)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
