"""Calls inside the process, in a table of calls of one service."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import grpc
import pytest

from chaja.v1 import (
    SearchRequest,
    SearchResponse,
    SearchStreamResponse,
    add_SearchServiceServicer_to_server,
)
from server.errors import NotReady, Overloaded
from server.logs.access import AccessLog
from server.logs.audit import AuditLog
from server.metrics import Metrics
from server.metrics.calls import Method
from server.rpc.calls import Calls
from server.rpc.errors import REASONS
from server.rpc.local import CallFailed, LocalCalls
from server.rpc.observer import CallObserver
from server.rpc.refusals import Refusals
from server.security.access import Access
from server.security.tokens import AccessTokens

SEARCH = "/chaja.v1.SearchService/Search"
SEARCH_STREAM = "/chaja.v1.SearchService/SearchStream"
TOKEN = "correct-horse-battery"


class Searches:
    """Answers, fails or hangs by the query."""

    BatchSearch = None

    async def SearchStream(self, requests: AsyncIterator[SearchRequest], context: Any) -> AsyncIterator[Any]:
        async for request in requests:
            for number in range(3):
                if request.query == f"fail at {number}":
                    raise NotReady("not yet")
                if request.query == f"wait at {number}":
                    await asyncio.Event().wait()
                yield SearchStreamResponse(response=SearchResponse(sequence=number))

    async def Search(self, request: SearchRequest, context: Any) -> SearchResponse:
        match request.query:
            case "fail":
                raise ValueError("a secret")
            case "wait":
                await asyncio.Event().wait()
            case "large":
                return SearchResponse(model_revision="x" * 5000)
        return SearchResponse(sequence=round(context.time_remaining()), model_revision=request.query)


class Table:
    """A table of calls, and calls inside the process."""

    def __init__(self, tokens: AccessTokens | None = None, overload: Overloaded | None = None) -> None:
        self.metrics = Metrics([Method("chaja.v1.SearchService", "Search", "unary")], reasons=REASONS)
        audit = AuditLog(on=False)
        self.calls = Calls(
            self.metrics,
            Access(tokens),
            overload=lambda: overload,
            max_response_bytes=4096,
            observer=CallObserver(AccessLog("off", 0.0), audit, None),
            refusals=Refusals(self.metrics, audit),
        )
        servicer: Any = Searches()
        server: Any = self.calls
        add_SearchServiceServicer_to_server(servicer, server)
        self.local = LocalCalls(self.calls)

    async def search(
        self, query: str, *, metadata: Iterable[tuple[str, str]] = (), seconds: float = 5.0
    ) -> SearchResponse:
        message = SearchRequest(query=query).SerializeToString()
        answer = await self.local.call(SEARCH, message, metadata=metadata, peer="http:test", seconds=seconds)
        return SearchResponse.FromString(answer)

    async def numbers(self, query: str, *, seconds: float = 5.0) -> AsyncIterator[int]:
        """Yields the sequences of a streamed answer."""
        message = SearchRequest(query=query).SerializeToString()
        answers = self.local.stream(SEARCH_STREAM, message, metadata=(), peer="http:test", seconds=seconds)
        async with contextlib.aclosing(answers):
            async for answer in answers:
                yield SearchStreamResponse.FromString(answer).response.sequence

    def handled(self, code: str) -> float | None:
        labels = {
            "grpc_type": "unary",
            "grpc_service": "chaja.v1.SearchService",
            "grpc_method": "Search",
            "grpc_code": code,
        }
        return self.metrics.registry.get_sample_value("grpc_server_handled_total", labels)


async def failure(table: Table, query: str, **options: Any) -> CallFailed:
    with pytest.raises(CallFailed) as error:
        await table.search(query, **options)
    return error.value


async def test_a_call_is_answered_and_counted_like_any_other() -> None:
    table = Table()
    response = await table.search("hello", seconds=7)
    assert (response.model_revision, response.sequence) == ("hello", 7)
    assert table.handled("OK") == 1
    assert (table.calls.connections.calls, len(table.calls.running)) == (0, 0)


async def test_the_trailers_of_an_answer_have_the_id_of_its_request() -> None:
    trailers: dict[str, str | bytes] = {}
    options: dict[str, Any] = {"metadata": [("x-request-id", "basket-7")], "peer": "http:test", "seconds": 5.0}
    message = SearchRequest(query="hello").SerializeToString()
    await Table().local.call(SEARCH, message, on_trailers=trailers.update, **options)
    assert trailers == {"x-request-id": "basket-7"}


async def test_errors_have_their_code_and_reason() -> None:
    table = Table()
    failed = await failure(table, "fail")
    assert (failed.code, failed.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL_FAULT")
    assert "secret" not in str(failed)
    failed = await failure(table, "large")
    assert (failed.code, failed.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "RESPONSE_TOO_LARGE")
    assert (table.handled("Internal"), table.handled("ResourceExhausted")) == (1, 1)
    assert table.calls.connections.calls == 0


async def test_an_overloaded_server_refuses_with_the_time_to_wait() -> None:
    table = Table(overload=Overloaded(0.25))
    failed = await failure(table, "hello")
    assert (failed.reason, failed.retry_seconds) == ("OVERLOADED", 0.25)
    assert table.handled("ResourceExhausted") == 1


async def test_a_call_ends_at_its_deadline() -> None:
    table = Table()
    failed = await failure(table, "wait", seconds=0.05)
    assert (failed.code, failed.reason) == (grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_PASSED")
    assert table.handled("DeadlineExceeded") == 1
    assert table.calls.connections.calls == 0


async def numbers_into(seen: list[int], numbers: AsyncIterator[int]) -> None:
    async for number in numbers:
        seen.append(number)


async def test_a_streamed_answer_has_all_messages_then_its_error() -> None:
    table = Table()
    assert [number async for number in table.numbers("hello")] == [0, 1, 2]
    seen: list[list[int]] = []
    for query, reason in (("fail at 2", "NOT_READY"), ("fail at 0", "NOT_READY"), ("wait at 1", "DEADLINE_PASSED")):
        numbers: Any = table.numbers(query, seconds=0.2)
        seen.append([])
        with pytest.raises(CallFailed) as failed:
            await numbers_into(seen[-1], numbers)
        assert failed.value.reason == reason
    assert seen == [[0, 1], [], [0]]
    assert (table.calls.connections.calls, len(table.calls.running)) == (0, 0)


async def test_a_stream_that_its_caller_leaves_ends() -> None:
    table = Table()
    numbers: Any = table.numbers("wait at 1")
    assert await anext(numbers) == 0
    assert len(table.calls.running) == 1
    await numbers.aclose()
    assert (table.calls.connections.calls, len(table.calls.running)) == (0, 0)


async def test_tokens_are_checked(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text(f"search page {TOKEN}\n", encoding="utf-8")
    table = Table(AccessTokens(file))
    failed = await failure(table, "hello")
    assert (failed.code, failed.reason) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_MISSING_OR_UNKNOWN")
    await failure(table, "hello", metadata=[("authorization", "Bearer wrong")])
    response = await table.search("hello", metadata=[("authorization", f"Bearer {TOKEN}")])
    assert response.model_revision == "hello"


async def test_a_server_that_stops_ends_its_calls() -> None:
    table = Table()
    waiting = asyncio.create_task(failure(table, "wait"))
    await asyncio.sleep(0)
    while not table.calls.running:
        await asyncio.sleep(0)
    table.calls.end_all(NotReady("the server is shutting down"))
    assert (await waiting).code == grpc.StatusCode.UNAVAILABLE
