"""The lifecycle of the server: listen, load, serve, drain."""

import asyncio
import contextlib
import gc
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple, Self

from server.backups.schedule import BackupSchedule
from server.catalogue.database import locked
from server.catalogue.store import Store
from server.core_log import CoreLog
from server.engine import EngineSlot
from server.errors import DatabaseDamaged, LoadingCancelled
from server.free_space import FreeSpace
from server.http.app import served_http
from server.http.pages.served import served_pages
from server.live.opening import Opening
from server.logs.audit import AuditLog
from server.logs.dropped import DROPPED
from server.loop_lag import watch_lag
from server.metrics import Metrics
from server.reloading import Reloader
from server.rpc.errors import REASONS
from server.rpc.health import HealthServicer
from server.rpc.refusals import Refusals
from server.rpc.server import COUNTED_METHODS, NOTICE_SECONDS, SERVICES, RpcServer
from server.settings import Settings
from server.signals import Signals
from server.tracing.opening import open_tracer
from server.writing.live_catalogue import LiveCatalogue

log = logging.getLogger(__name__)

ENDING_SECONDS = 5.0
"""Time for the engine's threads to end after the drain. A busy worker finishes its batch within it."""

LAG_CHECK_SECONDS = 1.0
"""Time between two checks whether searches lack changes."""

CLOSING_SECONDS = 10.0
"""Time after the drain for admitted changes. A shared store that does not answer is then given up."""

COLLECTIONS = 10_000, 2, 5
"""New objects between two garbage collections, and collections of a generation between two of the next one.

With Python's 700 objects, almost every call would trigger one. With its 10 collections of the first generation, one of
the second would hold the GIL for 30 ms. grpcio keeps refused calls in reference cycles: with 50 collections of the
second generation, they took tens of megabytes.
"""

SWITCH_SECONDS = 0.001
"""Time after which a waiting Python thread asks the running one for the GIL. Python's default is 5 ms."""


class Wanted(NamedTuple):
    """The wishes of the operator, who sends signals."""

    stop: asyncio.Event
    reload: asyncio.Event

    @classmethod
    def by(cls, signals: Signals) -> Self:
        """Returns the wishes so far; later signals add to them."""
        loop, wanted = asyncio.get_running_loop(), cls(asyncio.Event(), asyncio.Event())
        signals.deliver(
            stop=partial(loop.call_soon_threadsafe, wanted.stop.set),
            reload=partial(loop.call_soon_threadsafe, wanted.reload.set),
        )
        return wanted


async def serve(settings: Settings, opening: Opening, signals: Signals, core_log: CoreLog | None) -> None:
    """Serves until SIGTERM or SIGINT, then drains; a second signal ends the process at once. Raises StartError."""
    with contextlib.ExitStack() as stack:
        stack.callback(signals.ignore)
        wanted = Wanted.by(signals)
        if isinstance(settings.data, Path):
            directory = settings.data
            stack.enter_context(locked(directory))
        else:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chaja-")))
        stack.enter_context(_naming_backups(settings.backup_directory))
        location = settings.data or directory
        store = await asyncio.to_thread(Store, location, durable=settings.data is not None)
        stack.callback(store.close)
        await _serve(settings, opening, store, directory, wanted=wanted, signals=signals, core_log=core_log)


@contextlib.contextmanager
def _naming_backups(directory: Path | None) -> Iterator[None]:
    """Adds the directory of the scheduled backups to the error of a damaged database."""
    try:
        yield
    except DatabaseDamaged as error:
        if directory is None:
            raise
        raise DatabaseDamaged(f"{error}; the scheduled backups are in {directory}") from None


def _backup_schedule(settings: Settings, store: Store, metrics: Metrics) -> BackupSchedule | None:
    if settings.backup_directory is None or not isinstance(settings.data, Path):
        return None
    if not settings.backup_every_seconds:
        log.warning("--backup-directory is set, but no backups are made: set --backup-every-seconds, too")
        return None
    return BackupSchedule(
        settings.data,
        store.id,
        settings.backup_directory,
        metrics.backups,
        every_seconds=settings.backup_every_seconds,
        keep=settings.backup_keep,
    )


async def _serve(
    settings: Settings,
    opening: Opening,
    store: Store,
    directory: Path,
    *,
    wanted: Wanted,
    signals: Signals,
    core_log: CoreLog | None,
) -> None:
    sys.setswitchinterval(SWITCH_SECONDS)
    health = HealthServicer(service.full_name for service in SERVICES)
    slot = EngineSlot(on_broken=health.fail)
    metrics = _new_metrics(settings, slot, store, directory)
    DROPPED.deliver(metrics.process.log_lines_dropped.inc)
    audit = AuditLog(on=settings.audit_log)
    watching = [asyncio.create_task(watch_lag(metrics.process.event_loop_lag_seconds.observe))]
    reloader = Reloader(
        settings,
        store,
        slot,
        metrics,
        audit=audit,
        folder=directory / "index",
        on_serving=health.serve,
        opening=opening,
    )
    tracer = open_tracer(
        settings.trace_endpoint, share=settings.trace_share, on_dropped=metrics.process.spans_dropped.inc
    )
    refusals = Refusals(metrics, audit)
    rpc = RpcServer(
        settings,
        slot,
        reloader,
        metrics,
        health=health,
        fetch=store.fetch,
        audit=audit,
        refusals=refusals,
        tracer=tracer,
        core_log=core_log,
    )
    backups = _backup_schedule(settings, store, metrics)
    with (
        served_pages(
            settings,
            metrics.registry,
            rpc=rpc,
            slot=slot,
            health=health,
            progress=reloader.progress,
            fetch=store.fetch,
        ) as pages,
        served_http(
            settings, metrics, alive=health.alive, ready=health.ready, pages=pages, refusals=refusals
        ) as http_url,
    ):
        address = await rpc.listen()
        rpc.lost.add_done_callback(lambda _: wanted.stop.set())
        log.info("gRPC on %s, metrics on %s/metrics; loading", address, http_url)
        wait_seconds = 0.0
        if backups is not None:
            backups.start()
        try:
            if not await _load_first(reloader, wanted.stop):
                rpc.raise_if_lost()
                log.info("stopped while loading")
                return
            reloader.catalogue.death.add_done_callback(lambda _: health.fail())
            reloader.catalogue.lost.add_done_callback(lambda _: health.refuse())
            gc.collect()
            gc.freeze()  # Loaded objects stay: collections that scan them would delay calls.
            gc.set_threshold(*COLLECTIONS)
            counts = slot.engine.index.state.counts
            log.info("serving %d documents, %d vectors", counts.documents, counts.vectors)
            if backups is not None:
                backups.allow()
            watching += [
                asyncio.create_task(reloader.watch(settings.watch_seconds)),
                asyncio.create_task(_reload_when_asked(reloader, wanted.reload)),
                asyncio.create_task(_watch_change_lag(reloader.catalogue, health, settings.max_lag_seconds)),
            ]
            await wanted.stop.wait()
            for each in watching:
                each.cancel()
            wait_seconds = max(settings.drain_wait_seconds, NOTICE_SECONDS)
            log.info("draining: NOT_SERVING for %g s, then up to %g s for calls", wait_seconds, settings.drain_seconds)
        finally:
            stopping_backups = asyncio.create_task(asyncio.to_thread(backups.stop)) if backups is not None else None
            await rpc.stop(wait_seconds=wait_seconds, grace_seconds=settings.drain_seconds)
            await _close(reloader, store)
            if tracer is not None:
                await asyncio.to_thread(tracer.close)
            if stopping_backups is not None:
                await stopping_backups
        await _end_threads(slot, reloader)
        signals.ignore()
        rpc.raise_if_lost()
        log.info("stopped")


async def _close(reloader: Reloader, store: Store) -> None:
    """Finishes the admitted changes, unless the store does not answer."""
    closing = asyncio.create_task(reloader.close())
    done, _ = await asyncio.wait([closing], timeout=CLOSING_SECONDS)
    if not done:
        store.interrupt()
    await closing


def _new_metrics(settings: Settings, slot: EngineSlot, store: Store, directory: Path) -> Metrics:
    """Returns the metrics. Those that are read at each scrape do not block."""
    metrics = Metrics(
        COUNTED_METHODS,
        reasons=REASONS,
        workers=settings.workers,
        latency_objective_seconds=settings.latency_objective_seconds,
        min_recall=settings.min_recall,
    )
    metrics.workers.queue_texts.set_function(lambda: slot.queue_texts)
    metrics.workers.predicted_wait_seconds.set_function(lambda: slot.predicted_wait_seconds)
    metrics.workers.alive.set_function(lambda: slot.workers_alive)
    metrics.store.sequence.set_function(lambda: store.sequence)
    metrics.store.free_bytes.set_function(FreeSpace(directory).bytes)
    return metrics


async def _watch_change_lag(catalogue: LiveCatalogue, health: HealthServicer, max_seconds: float) -> None:
    """Reports that the server is not ready as long as searches lack changes for longer than `max_seconds`."""
    was_lagging = False
    while max_seconds:
        await asyncio.sleep(LAG_CHECK_SECONDS)
        is_lagging = (lag_seconds := catalogue.lag_seconds) > max_seconds
        if is_lagging and not was_lagging:
            log.error("not ready: searches have lacked changes of the store for %.0f s", lag_seconds)
        elif was_lagging and not is_lagging:
            log.info("ready again: searches see all changes of the store")
        was_lagging = is_lagging
        health.lag(is_lagging=is_lagging)


async def _reload_when_asked(reloader: Reloader, asked: asyncio.Event) -> None:
    while True:
        await asked.wait()
        asked.clear()
        reloader.reload_soon("SIGHUP")


async def _load_first(reloader: Reloader, stopping: asyncio.Event) -> bool:
    """Loads everything off the event loop; returns False if `stopping` is set first."""
    if stopping.is_set():
        return False
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


async def _end_threads(slot: EngineSlot, reloader: Reloader) -> None:
    """Waits for the threads of all engines. If one hangs, ends the process, because nothing else ends a thread."""
    try:
        async with asyncio.timeout(ENDING_SECONDS):
            await asyncio.gather(slot.engine.close(), reloader.retired())
    except TimeoutError:
        log.warning("a thread is still busy %g seconds after the drain; stopping without it", ENDING_SECONDS)
        logging.shutdown()
        os._exit(0)
