"""The lifecycle of the server: listen, load, serve, drain."""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import sys
import tempfile
from pathlib import Path

from server.catalogue.database import locked
from server.catalogue.store import Store
from server.engine import EngineSlot
from server.errors import LoadingCancelled
from server.live.opening import Opening
from server.metrics import Metrics
from server.monitoring import monitoring
from server.reloading import Reloader
from server.rpc.health import HealthServicer
from server.rpc.server import COUNTED_METHODS, NOTICE_SECONDS, SERVICES, RpcServer
from server.settings import Settings

log = logging.getLogger(__name__)

ENDING_SECONDS = 5.0
"""Time for the engine's threads to end after the drain. A busy worker finishes its batch within it."""

COLLECTED_OBJECTS = 10_000
"""New objects between two garbage collections. With Python's default of 700, almost every call would trigger one."""

SWITCH_SECONDS = 0.001
"""Time after which a waiting Python thread asks the running one for the GIL. Python's default is 5 ms."""


async def serve(settings: Settings, opening: Opening) -> None:
    """Serves until SIGTERM or SIGINT, then drains; a second signal ends the process at once. Raises StartError."""
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
    sys.setswitchinterval(SWITCH_SECONDS)
    stopping = asyncio.Event()
    health = HealthServicer(service.full_name for service in SERVICES)
    metrics, slot = Metrics(COUNTED_METHODS), EngineSlot(on_broken=health.fail)
    metrics.queue_texts.set_function(lambda: slot.queue_texts)
    reloader = Reloader(settings, store, slot, metrics, on_serving=health.serve, opening=opening)
    rpc = RpcServer(settings, slot, reloader, metrics, health=health, fetch=store.fetch)
    _handle_signals(stopping, reloader)
    with monitoring(settings.metrics, metrics.registry, alive=health.alive, ready=health.ready) as metrics_address:
        address = await rpc.listen()
        rpc.lost.add_done_callback(lambda _: stopping.set())
        log.info("gRPC on %s, metrics on http://%s/metrics; loading", address, metrics_address)
        wait_seconds = 0.0
        try:
            if not await _load_first(reloader, stopping):
                rpc.raise_if_lost()
                log.info("stopped while loading")
                return
            reloader.catalogue.death.add_done_callback(lambda _: health.fail())
            gc.collect()
            gc.freeze()  # Loaded objects stay: collections that scan them would delay calls.
            gc.set_threshold(COLLECTED_OBJECTS)
            state = slot.engine.index.state
            log.info("serving %d documents, %d vectors", state.slots.live_count, len(state.dense))
            watching = asyncio.create_task(reloader.watch(settings.watch_seconds))
            await stopping.wait()
            watching.cancel()
            wait_seconds = max(settings.drain_wait_seconds, NOTICE_SECONDS)
            log.info("draining: NOT_SERVING for %g s, then up to %g s for calls", wait_seconds, settings.drain_seconds)
        finally:
            await rpc.stop(wait_seconds=wait_seconds, grace_seconds=settings.drain_seconds)
            await reloader.close()
        await _end_threads(slot)
        _ignore_signals()
        rpc.raise_if_lost()
        log.info("stopped")


def _handle_signals(stopping: asyncio.Event, reloader: Reloader) -> None:
    """Makes SIGTERM and SIGINT start the drain, a second one stop the process at once, and SIGHUP reload."""
    loop = asyncio.get_running_loop()

    def stop(number: signal.Signals) -> None:
        if stopping.is_set():
            log.warning("second signal: stopping at once")
            logging.shutdown()
            os._exit(128 + number)
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)
    loop.add_signal_handler(signal.SIGHUP, reloader.reload_soon, "SIGHUP")


def _ignore_signals() -> None:
    """Ignores further signals, so that a supervisor that sends two does not change the exit code."""
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().remove_signal_handler(number)
        signal.signal(number, signal.SIG_IGN)


async def _load_first(reloader: Reloader, stopping: asyncio.Event) -> bool:
    """Loads everything off the event loop; returns False if `stopping` is set first."""
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


async def _end_threads(slot: EngineSlot) -> None:
    """Waits for the engine's threads. If one hangs, ends the process, because nothing else ends a thread."""
    try:
        async with asyncio.timeout(ENDING_SECONDS):
            await slot.engine.close()
    except TimeoutError:
        log.warning("a thread is still busy %g seconds after the drain; stopping without it", ENDING_SECONDS)
        logging.shutdown()
        os._exit(0)
