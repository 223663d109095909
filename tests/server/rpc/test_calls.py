"""What every call goes through, with the handlers that the generated code registers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, NoReturn

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
from server.metrics import Metrics
from server.rpc.calls import Calls
from server.rpc.server import METHODS
from server.security.access import ROLE_OF, Access
from server.security.tokens import Tokens

REQUEST = SearchRequest(query="환율").SerializeToString()


class Context:
    """What gRPC gives to a method."""

    def __init__(self, *, remaining: float | None = None, token: str | None = None) -> None:
        self.remaining = remaining
        self.token = token
        self.code: grpc.StatusCode | None = None
        self.details = ""
        self.metadata: dict[str, str | bytes] = {}

    def time_remaining(self) -> float | None:
        return self.remaining

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        return () if self.token is None else (("authorization", f"Bearer {self.token}"),)

    async def abort(self, code: grpc.StatusCode, details: str, metadata: Any) -> NoReturn:
        assert self.code is None, "a call ends once"
        self.code, self.details, self.metadata = code, details, dict(metadata)
        raise grpc.aio.AbortError


class Service(SearchServiceServicer):
    """Does what a test tells it to."""

    def __init__(self, answer: Callable[[], Any]) -> None:
        self.answer = answer
        self.asked: list[str] = []
        self.ended = False

    async def Search(self, request: SearchRequest, context: Any) -> SearchResponse:
        self.asked.append(request.query)
        await asyncio.sleep(0)
        self.answer()
        return SearchResponse(model_revision="r")

    async def BatchSearch(self, request: BatchSearchRequest, context: Any) -> BatchSearchResponse:
        raise NotImplementedError

    async def SearchStream(
        self, request_iterator: AsyncIterator[SearchRequest], context: Any
    ) -> AsyncIterator[SearchStreamResponse]:
        try:
            async for request in request_iterator:
                self.asked.append(request.query)
                self.answer()
                yield SearchStreamResponse()
        finally:
            self.ended = True


class Served:
    """A service behind `Calls`."""

    def __init__(self, answer: Callable[[], Any] = lambda: None, *, tokens: Tokens | None = None) -> None:
        self.metrics = Metrics(METHODS)
        self.overload: Overloaded | None = None
        self.service = Service(answer)
        calls: Any = Calls(self.metrics, Access(tokens), overload=lambda: self.overload)
        add_SearchServiceServicer_to_server(self.service, calls)
        self.calls: Calls = calls
        self.handlers = calls.handlers["chaja.v1.SearchService"]

    async def search(self, context: Context, request: bytes = REQUEST) -> Any:
        return await self.handlers["Search"].unary_unary(request, context)

    def stream(self, context: Context, *requests: bytes) -> Any:
        async def iterate() -> AsyncIterator[bytes]:
            for request in requests:
                yield request

        return self.handlers["SearchStream"].stream_stream(iterate(), context)

    def counted(self, method: str = "Search") -> dict[str, float]:
        """How often a method's calls ended with each code that they ended with."""
        codes = {}
        for family in self.metrics.registry.collect():
            for sample in family.samples:
                if sample.name == "grpc_server_handled_total" and sample.labels["grpc_method"] == method:
                    codes[sample.labels["grpc_code"]] = sample.value
        return {code: value for code, value in codes.items() if value}


def raising(error: BaseException) -> Callable[[], None]:
    def answer() -> None:
        raise error

    return answer


async def test_a_call_is_answered_and_counted() -> None:
    served = Served()
    assert (await served.search(Context())).model_revision == "r"
    assert served.service.asked == ["환율"]
    assert served.counted() == {"OK": 1}


@pytest.mark.parametrize(
    ("error", "code", "name"),
    [
        (NotReady("loading"), grpc.StatusCode.UNAVAILABLE, "Unavailable"),
        (Overloaded(1.0), grpc.StatusCode.RESOURCE_EXHAUSTED, "ResourceExhausted"),
        (ZeroDivisionError("secret"), grpc.StatusCode.INTERNAL, "Internal"),
    ],
)
async def test_an_error_gets_its_code_and_is_counted_with_it(
    error: Exception, code: grpc.StatusCode, name: str
) -> None:
    served, context = Served(raising(error)), Context()
    with pytest.raises(grpc.aio.AbortError):
        await served.search(context)
    assert context.code is code
    assert "secret" not in context.details
    assert "grpc-status-details-bin" in context.metadata
    assert served.counted() == {name: 1}


async def test_an_unknown_error_tells_its_incident_and_the_log_has_it(caplog: pytest.LogCaptureFixture) -> None:
    served, context = Served(raising(ZeroDivisionError("secret"))), Context()
    with pytest.raises(grpc.aio.AbortError):
        await served.search(context)
    (record,) = caplog.records
    incident = context.details.rpartition(" ")[2]
    assert incident in record.getMessage()
    assert "/chaja.v1.SearchService/Search" in record.getMessage()
    assert "ZeroDivisionError" in caplog.text
    assert b"secret" not in bytes(context.metadata["grpc-status-details-bin"])  # type: ignore[arg-type]


async def test_bytes_that_are_no_message_never_reach_the_method() -> None:
    served, context = Served(), Context()
    with pytest.raises(grpc.aio.AbortError):
        await served.search(context, b"\xff")
    assert context.code is grpc.StatusCode.INVALID_ARGUMENT
    assert not served.service.asked
    assert served.counted() == {"InvalidArgument": 1}


@pytest.mark.parametrize(("remaining", "name"), [(None, "Canceled"), (5.0, "Canceled"), (-0.001, "DeadlineExceeded")])
async def test_a_call_that_is_given_up_is_counted_by_why(remaining: float | None, name: str) -> None:
    served = Served()
    running = asyncio.create_task(served.search(Context(remaining=remaining)))
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert served.counted() == {name: 1}


async def test_a_stream_is_answered_and_counted_once() -> None:
    served = Served()
    answers = [answer async for answer in served.stream(Context(), REQUEST, REQUEST)]
    assert len(answers) == 2
    assert served.counted("SearchStream") == {"OK": 1}


async def test_a_stream_ends_with_a_request_that_is_no_message() -> None:
    served, context = Served(), Context()
    answers = served.stream(context, REQUEST, b"\xff", REQUEST)
    await anext(answers)
    with pytest.raises(grpc.aio.AbortError):
        await anext(answers)
    assert context.code is grpc.StatusCode.INVALID_ARGUMENT
    assert served.counted("SearchStream") == {"InvalidArgument": 1}


async def test_an_abandoned_stream_ends_its_method_before_it_is_closed() -> None:
    served = Served()
    answers = served.stream(Context(), REQUEST, REQUEST)
    await anext(answers)
    await answers.aclose()
    assert served.service.ended
    assert served.counted("SearchStream") == {"Canceled": 1}


@pytest.mark.parametrize(
    ("token", "code"),
    [(None, grpc.StatusCode.UNAUTHENTICATED), ("wrong", grpc.StatusCode.UNAUTHENTICATED), ("t" * 16, None)],
)
async def test_a_token_is_checked_before_anything_else(
    tmp_path: Path, token: str | None, code: grpc.StatusCode | None
) -> None:
    path = tmp_path / "tokens"
    path.write_text(f"search app {'t' * 16}\n", encoding="utf-8")
    served, context = Served(tokens=Tokens(path)), Context(token=token)
    if code is None:
        await served.search(context)
        assert served.counted() == {"OK": 1}
        return
    with pytest.raises(grpc.aio.AbortError):
        await served.search(context, b"\xff")
    assert context.code is code
    with pytest.raises(grpc.aio.AbortError):
        _ = [answer async for answer in served.stream(Context(token=token), REQUEST)]
    assert not served.service.asked
    assert served.counted() == served.counted("SearchStream") == {"Unauthenticated": 1}


class Watched:
    """A service with a method whose answers alone are a stream."""

    def __init__(self) -> None:
        self.ended = False
        self.served = Served()
        calls: Any = self.served.calls
        servicer: Any = self
        handler = grpc.unary_stream_rpc_method_handler(
            servicer.watch, WatchChangesRequest.FromString, WatchChangesResponse.SerializeToString
        )
        calls.add_registered_method_handlers("chaja.v1.CatalogService", {"WatchChanges": handler})
        self.handler: Any = calls.handlers["chaja.v1.CatalogService"]["WatchChanges"]

    async def watch(self, request: WatchChangesRequest, context: Any) -> AsyncIterator[WatchChangesResponse]:
        try:
            for sequence in (1, 2):
                yield WatchChangesResponse(changes=[Change(sequence=request.after_sequence + sequence)])
            raise NotReady("leaving")
        finally:
            self.ended = True


@pytest.mark.parametrize("whole", [True, False])
async def test_a_stream_of_answers_is_ended_and_counted_once(whole: bool) -> None:
    watched, context = Watched(), Context()
    answers = watched.handler.unary_stream(WatchChangesRequest(after_sequence=5).SerializeToString(), context)
    assert [(await anext(answers)).changes[0].sequence for _ in range(2)] == [6, 7]
    if whole:
        with pytest.raises(grpc.aio.AbortError):
            await anext(answers)
        assert context.code is grpc.StatusCode.UNAVAILABLE
    else:
        await answers.aclose()
    assert watched.ended
    assert watched.served.counted("WatchChanges") == {"Unavailable" if whole else "Canceled": 1}


async def test_bytes_that_are_no_message_never_reach_a_method_that_answers_with_a_stream() -> None:
    watched, context = Watched(), Context()
    with pytest.raises(grpc.aio.AbortError):
        await anext(watched.handler.unary_stream(b"\xff", context))
    assert context.code is grpc.StatusCode.INVALID_ARGUMENT


def test_every_method_has_a_role() -> None:
    assert {f"/{method.service}/{method.name}" for method in METHODS} == set(ROLE_OF)


def test_the_gate_refuses_searches_while_none_can_be_let_in_and_counts_them() -> None:
    served = Served()
    assert served.calls.gate("/chaja.v1.SearchService/Search") is None
    served.overload = Overloaded(0.7)
    refusal = served.calls.gate("/chaja.v1.SearchService/Search")
    assert refusal is not None
    assert (refusal.code, dict(refusal.metadata)["grpc-retry-pushback-ms"]) == (
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "700",
    )
    assert served.counted() == {"ResourceExhausted": 1}
    assert served.calls.gate("/chaja.v1.SearchService/BatchSearch") is None, (
        "it may be bulk work, with a line of its own"
    )
    assert served.calls.gate("/grpc.health.v1.Health/Check") is None
