"""The life of the server: listen, load, serve, drain."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import threading
from collections.abc import Iterator

import prometheus_client

from server.catalogue.catalogue import load_catalogue
from server.cpus import usable_cpus
from server.engine import Engine, EngineSlot
from server.errors import AddressError, first_line
from server.loading import Loaded, LoadingCancelled, load
from server.metrics import Metrics
from server.rpc.server import METHODS, RpcServer
from server.settings import Address, Settings

log = logging.getLogger(__name__)


async def serve(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT, then drains.

    Raises:
        StartError: The server cannot start.
    """
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    metrics, slot = Metrics(METHODS), EngineSlot()
    rpc = RpcServer(settings, slot, metrics)
    with _metrics_server(metrics, settings.metrics) as metrics_address:
        address = await rpc.listen(settings.listen)
        log.info("gRPC on %s, metrics on http://%s/metrics; loading", address, metrics_address)
        try:
            engine = await _load_engine(settings, metrics, stopping)
            if engine is None:
                log.info("stopped while loading")
                return
            slot.fill(engine)
            await rpc.serve()
            log.info("serving %d documents, %d vectors", len(engine.catalogue.documents), len(engine.index))
            await stopping.wait()
            log.info("draining for at most %g seconds", settings.drain_seconds)
        finally:
            await rpc.stop(settings.drain_seconds)
        await asyncio.to_thread(engine.close)
        log.info("stopped")


async def _load_engine(settings: Settings, metrics: Metrics, stopping: asyncio.Event) -> Engine | None:
    """Loads everything off the event loop; returns None if `stopping` is set before it is done."""
    threads = settings.encode_threads or usable_cpus()
    cancelled = threading.Event()

    def load_all() -> Loaded:
        return load(
            settings.bundle,
            load_catalogue(settings.catalogue),
            threads=threads,
            cancelled=cancelled,
            storage=settings.index_storage,
            native=settings.native,
        )

    loading = asyncio.create_task(asyncio.to_thread(load_all))
    stop = asyncio.create_task(stopping.wait())
    await asyncio.wait([loading, stop], return_when=asyncio.FIRST_COMPLETED)
    if stop.done():
        cancelled.set()
    stop.cancel()
    try:
        loaded = await loading
    except LoadingCancelled:
        return None
    return Engine(loaded, threads=threads, max_batch_tokens=settings.max_batch_tokens, metrics=metrics)


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
