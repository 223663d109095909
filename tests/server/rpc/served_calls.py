"""A service that answers as a test sets it, on a real grpc.aio server on the loopback."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from chaja.v1 import (
    BatchSearchRequest,
    BatchSearchResponse,
    Change,
    SearchRequest,
    SearchResponse,
    SearchServiceServicer,
    SearchStreamResponse,
    WatchChangesRequest,
    WatchChangesResponse,
    add_SearchServiceServicer_to_server,
)
from server.errors import NotReady, Overloaded
from server.logs.access import AccessLog, AccessLogMode
from server.logs.audit import AuditLog
from server.metrics import Metrics
from server.rpc import calls as calls_module
from server.rpc.calls import Calls
from server.rpc.errors import REASONS
from server.rpc.grpc_server import new_server
from server.rpc.interruption import Interruption
from server.rpc.observer import CallObserver
from server.rpc.refusals import Refusals
from server.rpc.server import COUNTED_METHODS
from server.security.access import Access
from server.security.tokens import AccessTokens
from server.settings import Settings

SEARCH = "/chaja.v1.SearchService/Search"
STREAM = "/chaja.v1.SearchService/SearchStream"
WATCH = "/chaja.v1.CatalogService/WatchChanges"
REQUEST = SearchRequest(query="환율").SerializeToString()
Codes = grpc.StatusCode
MAX_RESPONSE_BYTES = 1_500_000


class Service(SearchServiceServicer):
    """Answers with the functions that a test sets."""

    def __init__(self) -> None:
        self.answer: Callable[[], Any] = lambda: None
        self.asked: list[str] = []
        self.released = asyncio.Event()
        self.released.set()
        self.ended = asyncio.Event()
        self.answer_text = "r"

    async def Search(self, request: SearchRequest, context: Any) -> SearchResponse:
        self.asked.append(request.query)
        await self.released.wait()
        self.answer()
        return SearchResponse(model_revision=self.answer_text)

    async def BatchSearch(self, request: BatchSearchRequest, context: Any) -> BatchSearchResponse:
        return BatchSearchResponse()

    async def SearchStream(
        self, request_iterator: AsyncIterator[SearchRequest], context: Any
    ) -> AsyncIterator[SearchStreamResponse]:
        try:
            async for request in request_iterator:
                self.asked.append(request.query)
                self.answer()
                await self.released.wait()
                yield SearchStreamResponse()
        finally:
            self.ended.set()

    async def watch(self, request: WatchChangesRequest, context: Any) -> AsyncIterator[WatchChangesResponse]:
        try:
            for sequence in (1, 2):
                yield WatchChangesResponse(changes=[Change(sequence=request.after_sequence + sequence)])
            await Interruption.current().result(self.released.wait)
            raise NotReady("leaving")
        finally:
            self.ended.set()


class Served:
    """A service on a server, and its metrics."""

    def __init__(self, tokens: AccessTokens | None, access_log: AccessLogMode) -> None:
        self.metrics = Metrics(COUNTED_METHODS, reasons=REASONS)
        self.overload: Overloaded | None = None
        self.service = Service()
        audit = AuditLog(on=True)
        calls: Any = Calls(
            self.metrics,
            Access(tokens),
            overload=lambda: self.overload,
            max_response_bytes=MAX_RESPONSE_BYTES,
            observer=CallObserver(AccessLog(access_log, 0.0), audit, None),
            refusals=Refusals(self.metrics, audit),
        )
        add_SearchServiceServicer_to_server(self.service, calls)
        watch: Any = self.service.watch
        handler = grpc.unary_stream_rpc_method_handler(
            watch, WatchChangesRequest.FromString, WatchChangesResponse.SerializeToString
        )
        calls.add_registered_method_handlers("chaja.v1.CatalogService", {"WatchChanges": handler})
        self.calls: Calls = calls
        self.channel: Any = None
        self.address = ""

    async def call(self, request: bytes = REQUEST, *, path: str = SEARCH, **options: Any) -> Any:
        return await self.channel.unary_unary(path)(request, **options)

    async def code(self, request: bytes = REQUEST, **options: Any) -> grpc.StatusCode:
        return (await self.error(request, **options)).code()

    async def error(self, request: bytes = REQUEST, **options: Any) -> grpc.aio.AioRpcError:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await self.call(request, **options)
        return raised.value

    def value(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(name, labels)

    def errors(self) -> dict[str, float]:
        """Returns the number of errors by reason, without those that did not occur."""
        found = {reason: self.value("chaja_call_errors_total", reason=reason) for reason in REASONS}
        return {reason: number for reason, number in found.items() if number}

    async def counted(self, method: str = "Search") -> dict[str, float]:
        """Returns how often a method's calls ended with each code, once all have ended."""
        while True:
            started, codes = 0.0, {}
            for family in self.metrics.registry.collect():
                for sample in family.samples:
                    if sample.labels.get("grpc_method") == method:
                        started += sample.value if sample.name == "grpc_server_started_total" else 0
                        if sample.name == "grpc_server_handled_total" and sample.value:
                            codes[sample.labels["grpc_code"]] = sample.value
            if sum(codes.values()) == started:
                return codes
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def serving(
    tokens: AccessTokens | None = None, socket: Path | None = None, *, access_log: AccessLogMode = "off"
) -> AsyncIterator[Served]:
    served = Served(tokens, access_log)
    server = new_server(Settings(bundle=Path(), catalogue=Path()), served.calls)
    port = server.add_insecure_port("127.0.0.1:0" if socket is None else f"unix:{socket}")
    served.address = f"127.0.0.1:{port}" if socket is None else f"unix:{socket}"
    await server.start()
    async with grpc.aio.insecure_channel(served.address, options=[("grpc.enable_retries", 0)]) as channel:
        served.channel = channel
        try:
            yield served
        finally:
            served.service.released.set()
            await server.stop(5)


def raising(error: BaseException) -> Callable[[], None]:
    def answer() -> None:
        raise error

    return answer


def bearer(token: str | None) -> tuple[tuple[str, str], ...]:
    return () if token is None else (("authorization", f"Bearer {token}"),)


@contextlib.asynccontextmanager
async def guarded(path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Served]:
    """Serves with a file of tokens that is checked all the time."""
    monkeypatch.setattr("server.security.tokens.CHECK_SECONDS", 0.0)
    monkeypatch.setattr(calls_module, "ACCESS_SECONDS", 0.05)
    monkeypatch.setattr(calls_module, "REVOKED_SECONDS", 0.3)
    path.write_text(f"write app {'t' * 16}\n", encoding="utf-8")
    async with serving(AccessTokens(path)) as served:
        watching = asyncio.create_task(served.calls.watch_access())
        yield served
        watching.cancel()
