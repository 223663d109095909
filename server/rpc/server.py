"""Registers the services, health and reflection with one gRPC server."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING, Any

from grpc_health.v1 import health as health_names
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from chaja.v1 import (
    add_AdminServiceServicer_to_server,
    add_CatalogServiceServicer_to_server,
    add_EncodeServiceServicer_to_server,
    add_FeedbackServiceServicer_to_server,
    add_InfoServiceServicer_to_server,
    add_MerchandisingServiceServicer_to_server,
    add_SearchServiceServicer_to_server,
    add_SuggestServiceServicer_to_server,
    add_SynonymServiceServicer_to_server,
    admin_pb2,
    catalog_pb2,
    encode_pb2,
    feedback_pb2,
    info_pb2,
    merchandising_pb2,
    search_pb2,
    suggest_pb2,
    synonym_pb2,
)
from server.core_log import CoreLog
from server.engine import EngineSlot
from server.errors import NotReady
from server.logs.access import AccessLog
from server.logs.audit import AuditLog
from server.logs.slow import SlowQueryLog
from server.metrics import Method, Metrics
from server.reloading import Reloader
from server.rpc.admin import AdminServicer
from server.rpc.calls import UNKNOWN_METHOD, Calls
from server.rpc.catalog import CatalogServicer
from server.rpc.encode import EncodeServicer
from server.rpc.feedback import FeedbackServicer
from server.rpc.grpc_server import new_server
from server.rpc.health import HealthServicer
from server.rpc.hits import Fetch
from server.rpc.info import InfoServicer
from server.rpc.limits import Limits
from server.rpc.listener import Listener
from server.rpc.local import LocalCalls
from server.rpc.merchandising import MerchandisingServicer
from server.rpc.min_sequence import reaching
from server.rpc.observer import CallObserver
from server.rpc.queries import Queries
from server.rpc.refusals import Refusals
from server.rpc.search import SearchServicer
from server.rpc.slowest import SlowestSearches
from server.rpc.suggest import SuggestServicer
from server.rpc.synonyms import SynonymServicer
from server.security.access import Access
from server.security.tls import Certificates
from server.security.tokens import AccessTokens
from server.setting_types import Address, UnixSocket
from server.settings import Settings

if TYPE_CHECKING:
    from server.tracing.tracer import Tracer

log = logging.getLogger(__name__)

SERVICES = [
    service
    for file in (
        search_pb2,
        suggest_pb2,
        catalog_pb2,
        synonym_pb2,
        merchandising_pb2,
        feedback_pb2,
        encode_pb2,
        info_pb2,
        admin_pb2,
    )
    for service in file.DESCRIPTOR.services_by_name.values()
]
KIND_OF = {(False, False): "unary", (False, True): "server_stream", (True, True): "bidi_stream"}
"""go-grpc-middleware's names of the kinds of methods, by whether requests and responses are streams."""

METHODS = [
    Method(service.full_name, method.name, KIND_OF[method.client_streaming, method.server_streaming])
    for service in SERVICES
    for method in service.methods
]
_, UNKNOWN_SERVICE, UNKNOWN_NAME = UNKNOWN_METHOD.split("/")
COUNTED_METHODS = [*METHODS, Method(UNKNOWN_SERVICE, UNKNOWN_NAME, "unary")]
"""The methods that have metrics: ours, and one for all unknown methods."""

SHUTTING_DOWN = "the server is shutting down; continue with another server, or try again later"
NOTICE_SECONDS = 0.3
"""Time for clients that watch health to send their calls elsewhere. When a gRPC server stops, calls that it has not yet
received end as CANCELLED, which clients do not retry."""

STATUS_SECONDS = 1.0
"""Time for the statuses of the last calls to be sent; the server then closes the connections that are still open.
Without it, gRPC would wait for 20 s until an idle connection answers its ping."""

READING_SECONDS = 5.0
"""Time without progress after which the server no longer waits for clients that do not read their answers."""


class RpcServer:
    """The gRPC server. It listens before the model is loaded; `health` reports when it serves."""

    def __init__(
        self,
        settings: Settings,
        slot: EngineSlot,
        reloader: Reloader,
        metrics: Metrics,
        *,
        health: HealthServicer,
        fetch: Fetch,
        audit: AuditLog,
        refusals: Refusals,
        tracer: Tracer | None,
        core_log: CoreLog | None,
    ) -> None:
        """Registers all services; raises SecurityError if a certificate or the token file cannot be used.

        Failed handshakes are counted if there is a `core_log`.
        """
        self._settings = settings
        tokens = AccessTokens(settings.tokens) if settings.tokens else None
        certificates = (
            Certificates(settings.tls_certificate, settings.tls_key, settings.tls_client_ca)
            if settings.tls_certificate and settings.tls_key
            else None
        )
        if certificates is not None:
            metrics.process.watch_certificate(certificates.expiry_seconds)
        self._calls = Calls(
            metrics,
            Access(tokens),
            overload=slot.overload,
            max_response_bytes=settings.max_response_bytes,
            observer=CallObserver(AccessLog(settings.access_log, settings.access_log_share), audit, tracer),
            refusals=refusals,
        )
        if core_log is not None:
            core_log.on_failed_handshake = refusals.count
        self._listener = Listener(
            partial(new_server, settings, self._calls),
            lambda: certificates.credentials() if certificates else None,
            drain_seconds=settings.drain_seconds,
            on_restart=metrics.process.grpc_restarts.inc,
        )
        self.lost = self._listener.lost  # See `Listener`.
        self._watching: asyncio.Task[None] | None = None
        limits, writable = Limits.of(settings), settings.data is not None
        calls: Any = self._calls
        background = self._calls.background
        queries = Queries(metrics, SlowQueryLog(settings.slow_query_seconds, show_texts=settings.log_texts))
        self.local_calls = LocalCalls(self._calls)
        self.slowest = SlowestSearches(show_texts=settings.log_texts)
        reach = reaching(reloader.reader, max_seconds=settings.max_sequence_wait_seconds)
        search = SearchServicer(
            slot,
            limits,
            metrics,
            queries=queries,
            fetch=fetch,
            background=background,
            slowest=self.slowest,
            reach=reach,
        )
        add_SearchServiceServicer_to_server(search, calls)
        add_SuggestServiceServicer_to_server(SuggestServicer(slot, limits, background, reach=reach), calls)
        catalog = CatalogServicer(reloader.writer, reloader.reader, limits, background)
        add_CatalogServiceServicer_to_server(catalog, calls)
        add_SynonymServiceServicer_to_server(SynonymServicer(reloader.writer, slot, limits, background), calls)
        merchandising = MerchandisingServicer(reloader.writer, reloader.reader, slot, limits, background)
        add_MerchandisingServiceServicer_to_server(merchandising, calls)
        feedback = FeedbackServicer(reloader.feedback, reloader.learning, limits, background)
        add_FeedbackServiceServicer_to_server(feedback, calls)
        add_EncodeServiceServicer_to_server(EncodeServicer(slot, limits, queries), calls)
        add_InfoServiceServicer_to_server(InfoServicer(slot, limits, writable=writable), calls)
        add_AdminServiceServicer_to_server(AdminServicer(reloader, writable=writable), calls)
        self._health = health
        health_pb2_grpc.add_HealthServicer_to_server(self._health, calls)
        if settings.reflection:
            names = [service.full_name for service in SERVICES]
            servicer = reflection.aio.ReflectionServicer([*names, health_names.SERVICE_NAME, reflection.SERVICE_NAME])
            reflection_pb2_grpc.add_ServerReflectionServicer_to_server(servicer, calls)  # type: ignore[no-untyped-call]

    async def listen(self) -> Address | UnixSocket:
        """Starts to listen; returns the address with the port that the system chose. Raises AddressError."""
        settings, address = self._settings, self._settings.listen
        bound = await self._listener.start(address)
        if settings.tokens is not None:
            self._watching = asyncio.create_task(self._calls.watch_access())
        if isinstance(address, Address) and not address.is_loopback:
            for flag, value in (("--tls-certificate", settings.tls_certificate), ("--tokens", settings.tokens)):
                if value is None:
                    log.warning("listening on %s, which other machines may reach, without %s", address, flag)
        return bound

    def raise_if_lost(self) -> None:
        """Raises AddressError if the server crashed and could not listen again."""
        if self.lost.done():
            self.lost.result()

    async def stop(self, *, wait_seconds: float, grace_seconds: float) -> None:
        """Reports NOT_SERVING, waits, rejects new calls, and gives calls in flight `grace_seconds` to finish."""
        self._health.shut_down()
        await asyncio.sleep(max(wait_seconds, NOTICE_SECONDS))
        self._health.end_watches()
        error = NotReady(SHUTTING_DOWN)
        self._calls.end_waiting(error)
        ending = asyncio.get_running_loop().call_later(grace_seconds, self._calls.end_all, error)
        stopping = asyncio.create_task(self._listener.stop(grace_seconds + STATUS_SECONDS))
        quiet = asyncio.create_task(
            self._calls.until_quiet(reading_seconds=READING_SECONDS, idle_seconds=STATUS_SECONDS)
        )
        await asyncio.wait([stopping, quiet], return_when=asyncio.FIRST_COMPLETED)
        if not stopping.done():
            await self._listener.stop(0)
        await stopping
        ending.cancel()
        for task in (quiet, self._watching):
            if task is not None:
                task.cancel()
