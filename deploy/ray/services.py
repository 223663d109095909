"""The server's services over shards: the same checks, limits, errors and answers as in one server.

Searches and writes use the server's own engine, committer and servicers. Only the index and the model's weights are in
other processes.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Callable
from typing import Any, TypeVar, cast

import grpc
from grpc_health.v1 import health_pb2_grpc

from chaja.v1 import (
    add_CatalogServiceServicer_to_server,
    add_EncodeServiceServicer_to_server,
    add_InfoServiceServicer_to_server,
    add_MerchandisingServiceServicer_to_server,
    add_SearchServiceServicer_to_server,
    add_SuggestServiceServicer_to_server,
    add_SynonymServiceServicer_to_server,
    admin_pb2,
    feedback_pb2,
)
from deploy.ray.asking import Asker
from deploy.ray.index import ShardedIndex
from deploy.ray.written import WrittenIndex
from server.batching.speed import Speed
from server.catalogue.store import Store
from server.encoding.bundle import Bundle
from server.encoding.cache import EmbeddingCache
from server.engine import Engine, EngineSlot
from server.errors import ChajaError, NotReady, UnknownMethod
from server.live.index import LiveIndex, field_weights
from server.logs.access import AccessLog
from server.logs.audit import AuditLog
from server.logs.rate import Rate
from server.logs.slow import SlowQueryLog
from server.metrics import Metrics
from server.ranking.probes import encode_probes
from server.rpc.calls import Calls
from server.rpc.catalog import CatalogServicer
from server.rpc.encode import EncodeServicer
from server.rpc.errors import REASONS
from server.rpc.gate import Metadata
from server.rpc.health import HealthServicer
from server.rpc.info import InfoServicer
from server.rpc.limits import Limits
from server.rpc.local import LocalCalls
from server.rpc.merchandising import MerchandisingServicer
from server.rpc.min_sequence import reaching
from server.rpc.observer import CallObserver
from server.rpc.queries import Queries
from server.rpc.refusals import Refusals
from server.rpc.search import SearchServicer
from server.rpc.server import COUNTED_METHODS, SERVICES
from server.rpc.slowest import SlowestSearches
from server.rpc.suggest import SuggestServicer
from server.rpc.synonyms import SynonymServicer
from server.security.access import Access
from server.security.tokens import AccessTokens
from server.settings import Settings
from server.writing.committer import Committer
from server.writing.encoding import DocumentEncoder
from server.writing.following import Follower
from server.writing.reader import Reader
from server.writing.writer import Writer

log = logging.getLogger(__name__)

T = TypeVar("T")

LACKED_SERVICES = [*feedback_pb2.DESCRIPTOR.services_by_name.values(), *admin_pb2.DESCRIPTOR.services_by_name.values()]
"""The services of a server that shards do not have. All their methods are unary."""

MAINTENANCE_SECONDS = 0.5
"""Time between two looks whether the shards have a newer state, as after the restart of one."""


class Services:
    """The services of one ingress. Used on the event loop; `make_services` makes them."""

    def __init__(
        self, settings: Settings, store: Store, bundle: Bundle, index: ShardedIndex, written: WrittenIndex
    ) -> None:
        """Registers the services. They answer NOT_READY until all shards have a state in common."""
        self._store = store
        self._index = index
        self._health = HealthServicer(service.full_name for service in SERVICES)
        self._slot = EngineSlot(on_broken=self._health.fail)
        self._opened = False
        self._failures = Rate(lines=1, seconds=10)
        metrics = Metrics(
            COUNTED_METHODS,
            reasons=REASONS,
            workers=settings.workers,
            latency_objective_seconds=settings.latency_objective_seconds,
            min_recall=settings.min_recall,
        )
        cache = EmbeddingCache(settings.cache_bytes)
        self._slot.swap(Engine(bundle, index, settings, cache=cache, speed=Speed(), metrics=metrics))
        self._encoder = DocumentEncoder(store)
        self._committer = Committer(
            store,
            cast(LiveIndex, written),  # It has the part that a committer uses.
            metrics,
            on_commit=self._committed,
            catch_up=written.catch_up,
        )
        self._follower = Follower(store, self._committer)
        self._reader = Reader(store, self._slot, catch_up=self._look)
        self._writer = Writer(store, self._slot, self._committer, self._encoder)
        audit = AuditLog(on=settings.audit_log)
        calls = Calls(
            metrics,
            Access(AccessTokens(settings.tokens) if settings.tokens else None),
            overload=self._slot.overload,
            max_response_bytes=settings.max_response_bytes,
            observer=CallObserver(AccessLog(settings.access_log, settings.access_log_share), audit, None),
            refusals=Refusals(metrics, audit),
        )
        self._register(settings, calls, metrics)
        self._calls = LocalCalls(calls)
        self._advancing: asyncio.Task[None] | None = None
        self._measuring: asyncio.Task[None] | None = None
        self._maintaining = asyncio.create_task(self._maintain())

    async def call(self, path: str, message: bytes, **options: Any) -> bytes:
        """Returns the serialized answer to a serialized message; raises CallFailed. See `LocalCalls.call`."""
        return await self._calls.call(path, message, **options)

    @property
    def is_complete(self) -> bool:
        """Whether the services are open, and all shards have answered."""
        return self._opened and self._index.has_all_shards

    def stream(
        self, path: str, message: bytes, *, metadata: Metadata, peer: str, seconds: float
    ) -> AsyncGenerator[bytes, None]:
        """Yields the serialized answers of a method that answers with a stream; see `LocalCalls.stream`."""
        return self._calls.stream(path, message, metadata=metadata, peer=peer, seconds=seconds)

    def check(self) -> None:
        """Raises an error if the process must be replaced."""
        if self._committer.death.done() or self._follower.lost.done() or self._slot.broken:
            raise RuntimeError("a thread has died, or the store has lost changes")

    async def close(self) -> None:
        """Finishes the accepted changes, and ends the threads."""
        for task in (self._maintaining, self._advancing, self._measuring):
            if task is not None:
                task.cancel()
                await asyncio.wait([task])
        await asyncio.to_thread(self._follower.close)
        await asyncio.to_thread(self._committer.close)
        self._encoder.close()
        await self._slot.loaded.close()
        await asyncio.to_thread(self._store.close)

    def _register(self, settings: Settings, calls: Calls, metrics: Metrics) -> None:
        limits, background, slot = Limits.of(settings), calls.background, self._slot
        queries = Queries(metrics, SlowQueryLog(settings.slow_query_seconds, show_texts=settings.log_texts))
        reach = reaching(self._when_open(self._reader), max_seconds=settings.max_sequence_wait_seconds)
        writer, reader, server = self._when_open(self._writer), self._when_open(self._reader), cast(Any, calls)
        search = SearchServicer(
            slot,
            limits,
            metrics,
            queries=queries,
            fetch=self._store.fetch,
            background=background,
            slowest=SlowestSearches(show_texts=settings.log_texts),
            reach=reach,
        )
        add_SearchServiceServicer_to_server(search, server)
        add_SuggestServiceServicer_to_server(SuggestServicer(slot, limits, background, reach=reach), server)
        add_CatalogServiceServicer_to_server(CatalogServicer(writer, reader, limits, background), server)
        add_SynonymServiceServicer_to_server(SynonymServicer(writer, slot, limits, background), server)
        merchandising = MerchandisingServicer(writer, reader, slot, limits, background)
        add_MerchandisingServiceServicer_to_server(merchandising, server)
        add_EncodeServiceServicer_to_server(EncodeServicer(slot, limits, queries), server)
        add_InfoServiceServicer_to_server(InfoServicer(slot, limits, writable=True), server)
        refuse: Any = grpc.unary_unary_rpc_method_handler(_refuse)
        for descriptor in LACKED_SERVICES:
            handlers = {method.name: refuse for method in descriptor.methods}
            calls.add_registered_method_handlers(descriptor.full_name, handlers)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)

    def _when_open(self, service: T) -> Callable[[], T]:
        def get() -> T:
            if not self._opened:
                raise NotReady("the shards are still loading; try again in a few seconds")
            return service

        return get

    def _committed(self) -> None:
        """Called after commits of this server, and after changes of others."""
        self._reader.changed()
        self._advance_soon()

    def _advance_soon(self) -> asyncio.Task[None]:
        if self._advancing is None or self._advancing.done():
            self._advancing = asyncio.create_task(self._advance())
        return self._advancing

    async def _advance(self) -> None:
        try:
            await asyncio.to_thread(self._index.advance)
        except ChajaError as error:
            if self._failures.allow() is not None:
                log.warning("searches stay at the state before: %s", error)
            return
        self._reader.changed()
        if self._measuring is None or self._measuring.done():
            self._measuring = asyncio.create_task(self._measure())

    async def _measure(self) -> None:
        state = None
        try:
            while state is not self._index.state:  # Searches see newer states meanwhile.
                state = self._index.state
                await asyncio.to_thread(self._index.measure)
        except ChajaError as error:
            if self._failures.allow() is not None:
                log.warning("searches keep the baseline of scores that was measured before: %s", error)

    def _look(self) -> None:
        """Brings searches up to date with the store. Blocks; raises StoreUnavailable or ShardUnavailable."""
        self._follower.look()
        self._index.advance()

    async def _maintain(self) -> None:
        while True:
            if not self._opened or not self._index.is_complete or not self._index.has_all_shards:
                await self._advance_soon()
            if not self._opened:
                if self._measuring is not None:
                    await self._measuring
                with contextlib.suppress(NotReady):
                    counts = self._index.state.counts
                    self._opened = True
                    self._slot.open()
                    self._health.serve()
                    log.info("serving %d documents, %d vectors", counts.documents, counts.vectors)
            await asyncio.sleep(MAINTENANCE_SECONDS)


async def _refuse(request: bytes, context: Any) -> bytes:
    raise UnknownMethod("shards do not have this service: call a server of the same database, without shards")


async def make_services(settings: Settings, bundle: Bundle, asker: Asker) -> Services:
    """Opens the store, and makes the services. Raises StartError."""
    store, index, written = await asyncio.to_thread(_open, settings, bundle, asker)
    return Services(settings, store, bundle, index, written)


def _open(settings: Settings, bundle: Bundle, asker: Asker) -> tuple[Store, ShardedIndex, WrittenIndex]:
    assert settings.data is not None, "shards follow a store"
    store = Store(settings.data)
    try:
        weight = field_weights(bundle.manifest, settings.weights)[0]
        index = ShardedIndex(store, asker, probes=encode_probes(bundle), title_weight=weight)
        return store, index, WrittenIndex(store, index, revision=bundle.manifest.revision)
    except BaseException:
        store.close()
        raise
