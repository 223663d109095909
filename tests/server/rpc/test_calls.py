"""The wrapper of every call, with a real grpc.aio server on the loopback."""

import asyncio
import contextlib
import gc
import gzip
import struct
import weakref
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from hyperframe.frame import DataFrame, SettingsFrame

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
from server.errors import NotReady, Overloaded, ResponseTooLarge
from server.logs import RepeatedLine
from server.metrics import Metrics
from server.rpc import calls as calls_module
from server.rpc import connections, grpc_logs
from server.rpc.calls import Calls
from server.rpc.grpc_server import new_server
from server.rpc.interruption import Interruption
from server.rpc.server import COUNTED_METHODS, METHODS
from server.security.access import ROLE_OF, Access
from server.security.tokens import AccessTokens
from server.settings import Settings
from tests.integration.raw_calls import connected, greeting, headers, message, opened, received_until
from tests.server.making import until

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

    def __init__(self, tokens: AccessTokens | None) -> None:
        self.metrics = Metrics(COUNTED_METHODS)
        self.overload: Overloaded | None = None
        self.service = Service()
        calls: Any = Calls(
            self.metrics, Access(tokens), overload=lambda: self.overload, max_response_bytes=MAX_RESPONSE_BYTES
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
async def serving(tokens: AccessTokens | None = None, socket: Path | None = None) -> AsyncIterator[Served]:
    served = Served(tokens)
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


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with serving() as served:
        yield served


def raising(error: BaseException) -> Callable[[], None]:
    def answer() -> None:
        raise error

    return answer


def bearer(token: str | None) -> tuple[tuple[str, str], ...]:
    return () if token is None else (("authorization", f"Bearer {token}"),)


async def test_a_call_is_answered_and_counted(served: Served) -> None:
    assert SearchResponse.FromString(await served.call()).model_revision == "r"
    assert served.service.asked == ["환율"]
    assert await served.counted() == {"OK": 1}


@pytest.mark.parametrize(
    ("error", "code", "name"),
    [
        (NotReady("loading"), Codes.UNAVAILABLE, "Unavailable"),
        (Overloaded(1.0), Codes.RESOURCE_EXHAUSTED, "ResourceExhausted"),
        (ZeroDivisionError("secret"), Codes.INTERNAL, "Internal"),
    ],
)
async def test_an_error_becomes_a_status_and_is_counted(
    served: Served, error: Exception, code: grpc.StatusCode, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    served.service.answer = raising(error)
    status = await served.error()
    assert status.code() is code
    assert "secret" not in str(status.details())
    assert "grpc-status-details-bin" in dict(status.trailing_metadata() or ())
    assert await served.counted() == {name: 1}
    assert (SEARCH in caplog.text) is (code is Codes.INTERNAL), "only a fault is logged"


@pytest.mark.parametrize("path", [SEARCH, WATCH])
async def test_an_undecodable_message_never_reaches_the_method(served: Served, path: str) -> None:
    assert await served.code(b"\xff", path=path) is Codes.INVALID_ARGUMENT
    assert not served.service.asked
    assert await served.counted(path.rpartition("/")[2]) == {"InvalidArgument": 1}


async def test_a_request_without_a_message_is_invalid(served: Served) -> None:
    call = served.channel.stream_unary(SEARCH)()
    await call.done_writing()
    assert await call.code() is Codes.INVALID_ARGUMENT
    assert await served.counted() == {"InvalidArgument": 1}


@pytest.mark.parametrize("path", ["/chaja.v1.SearchService/Nothing", "/no.such.Service/Method"])
async def test_calls_of_unknown_methods_are_counted_without_their_names(served: Served, path: str) -> None:
    assert await served.code(path=path) is Codes.UNIMPLEMENTED
    assert await served.counted("unknown") == {"Unimplemented": 1}


@pytest.mark.parametrize(("how", "name"), [("cancel", "Canceled"), ("deadline", "DeadlineExceeded")])
async def test_a_cancelled_call_is_counted_by_its_cause(served: Served, how: str, name: str) -> None:
    served.service.released.clear()
    call = served.channel.unary_unary(SEARCH)(REQUEST, timeout=0.3 if how == "deadline" else None)
    await until(lambda: served.service.asked)
    if how == "cancel":
        call.cancel()
    assert await call.code() is (Codes.CANCELLED if how == "cancel" else Codes.DEADLINE_EXCEEDED)
    assert await served.counted() == {name: 1}


async def test_running_calls_are_ended_with_an_error(served: Served) -> None:
    served.service.released.clear()
    calls = [asyncio.create_task(served.code()) for _ in range(3)]
    await until(lambda: len(served.service.asked) >= 3)
    served.calls.end_all(NotReady("the server is shutting down"))
    assert await asyncio.gather(*calls) == [Codes.UNAVAILABLE] * 3
    assert await served.counted() == {"Unavailable": 3}


async def test_an_idle_stream_ends_when_the_server_leaves_and_a_busy_one_after_its_answer(served: Served) -> None:
    idle, busy = served.channel.stream_stream(STREAM)(), served.channel.stream_stream(STREAM)()
    await idle.write(REQUEST)
    assert await idle.read() == b""
    served.service.released.clear()
    await busy.write(REQUEST)
    await until(lambda: len(served.service.asked) == 2)
    served.calls.end_waiting(NotReady("leaving"))
    assert await asyncio.wait_for(idle.code(), 5) is Codes.UNAVAILABLE
    assert await idle.details() == "leaving"
    served.service.released.set()
    assert await busy.read() == b""
    assert await asyncio.wait_for(busy.code(), 5) is Codes.UNAVAILABLE
    late = served.channel.stream_stream(STREAM)()
    assert await asyncio.wait_for(late.code(), 5) is Codes.UNAVAILABLE
    assert await served.counted("SearchStream") == {"Unavailable": 3}


async def test_a_call_whose_message_does_not_arrive_ends_soon_after_the_server_leaves(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls_module, "MESSAGE_SECONDS", 0.2)
    without = served.channel.stream_unary(SEARCH)()
    await until(lambda: served.calls.running)
    served.calls.end_waiting(NotReady("leaving"))
    await served.call()  # Its message arrives.
    assert await asyncio.wait_for(without.code(), 5) is Codes.UNAVAILABLE
    assert await served.counted() == {"OK": 1, "Unavailable": 1}


async def test_a_server_that_leaves_waits_for_work_but_not_for_clients_that_do_not_read(served: Served) -> None:
    served.service.answer_text = "r" * 1_000_000
    served.service.released.clear()
    no_window = greeting({SettingsFrame.INITIAL_WINDOW_SIZE: 0})
    with connected(served.address, no_window + headers(SEARCH, 1) + message(REQUEST, 1)):
        await until(lambda: served.service.asked)
        quiet = asyncio.create_task(served.calls.until_quiet(reading_seconds=0.2, idle_seconds=60))
        await asyncio.sleep(0.6)
        assert not quiet.done(), "the call works"
        served.service.released.set()
        await asyncio.wait_for(quiet, 5)
        assert served.calls.connections.calls == 1
    await until(lambda: not served.calls.connections.calls)
    await asyncio.wait_for(served.calls.until_quiet(reading_seconds=60, idle_seconds=0.1), 5)


async def test_a_stream_is_answered_and_counted_once(served: Served) -> None:
    answers = [answer async for answer in served.channel.stream_stream(STREAM)(iter([REQUEST, REQUEST]))]
    assert len(answers) == 2
    assert await served.counted("SearchStream") == {"OK": 1}


async def test_an_undecodable_request_ends_a_stream(served: Served) -> None:
    call = served.channel.stream_stream(STREAM)(iter([REQUEST, b"\xff", REQUEST]))
    assert await call.read() == b""
    assert await call.code() is Codes.INVALID_ARGUMENT
    assert await served.counted("SearchStream") == {"InvalidArgument": 1}


async def test_an_abandoned_stream_ends_its_method(served: Served) -> None:
    call = served.channel.stream_stream(STREAM)()
    await call.write(REQUEST)
    assert await call.read() == b""
    call.cancel()
    await asyncio.wait_for(served.service.ended.wait(), 5)
    assert await served.counted("SearchStream") == {"Canceled": 1}


@pytest.mark.parametrize("whole", [True, False])
async def test_a_stream_of_answers_is_ended_and_counted_once(served: Served, whole: bool) -> None:
    if not whole:
        served.service.released.clear()
    call = served.channel.unary_stream(WATCH)(WatchChangesRequest(after_sequence=5).SerializeToString())
    answers = [WatchChangesResponse.FromString(await call.read()).changes[0].sequence for _ in range(2)]
    assert answers == [6, 7]
    if not whole:
        call.cancel()
    assert await call.code() is (Codes.UNAVAILABLE if whole else Codes.CANCELLED)
    await asyncio.wait_for(served.service.ended.wait(), 5)
    assert await served.counted("WatchChanges") == {"Unavailable" if whole else "Canceled": 1}


@pytest.mark.parametrize(
    ("token", "code"), [(None, Codes.UNAUTHENTICATED), ("wrong", Codes.UNAUTHENTICATED), ("t" * 16, None)]
)
async def test_a_token_is_checked_before_the_message_arrives(
    tmp_path: Path, token: str | None, code: grpc.StatusCode | None
) -> None:
    path = tmp_path / "tokens"
    path.write_text(f"search app {'t' * 16}\n", encoding="utf-8")
    async with serving(AccessTokens(path)) as served:
        if code is None:
            await served.call(metadata=bearer(token))
            assert await served.counted() == {"OK": 1}
            return
        for method, name in ((SEARCH, "Search"), (STREAM, "SearchStream")):
            unfinished = served.channel.stream_stream(method)(metadata=bearer(token))
            assert await unfinished.code() is code
            assert await served.counted(name) == {"Unauthenticated": 1}
        assert not served.service.asked


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


@pytest.mark.parametrize(
    ("line", "code"),
    [("", Codes.UNAUTHENTICATED), (f"search app {'t' * 16}", Codes.PERMISSION_DENIED), (f"admin app {'t' * 16}", None)],
)
async def test_an_open_stream_ends_once_its_caller_has_lost_its_access(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, code: grpc.StatusCode | None
) -> None:
    async with guarded(tmp_path / "tokens", monkeypatch) as served:
        served.service.released.clear()  # No message comes.
        watch = served.channel.unary_stream(WATCH)(b"", metadata=bearer("t" * 16))
        for _ in range(2):
            await watch.read()
        search = served.channel.stream_stream(STREAM)(metadata=bearer("t" * 16))
        await until(lambda: len(served.calls.running) == 2)
        (tmp_path / "tokens").write_text(f"{line}\nadmin other {'o' * 16}\n", encoding="utf-8")
        if code is None:
            await asyncio.sleep(0.5)
            assert not watch.done()
        else:
            assert await asyncio.wait_for(watch.code(), 5) is code
        if code is Codes.UNAUTHENTICATED:
            assert await asyncio.wait_for(search.code(), 5) is code
        else:  # The role search is enough.
            assert not search.done()
        watch.cancel()
        search.cancel()


async def test_a_stream_that_works_too_long_ends_all_the_same_once_its_caller_has_lost_its_access(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with guarded(tmp_path / "tokens", monkeypatch) as served:
        served.service.released.clear()
        search = served.channel.stream_stream(STREAM)(metadata=bearer("t" * 16))
        await search.write(REQUEST)
        await until(lambda: served.service.asked)
        (tmp_path / "tokens").write_text("", encoding="utf-8")
        assert await asyncio.wait_for(search.code(), 5) is Codes.UNAUTHENTICATED


async def test_a_message_of_a_caller_that_has_lost_its_access_is_not_processed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with guarded(tmp_path / "tokens", monkeypatch) as served:
        monkeypatch.setattr(calls_module, "ACCESS_SECONDS", 60.0)
        await asyncio.sleep(0.1)  # The last check of all streams.
        search = served.channel.stream_stream(STREAM)(metadata=bearer("t" * 16))
        await search.write(REQUEST)
        assert await search.read() == b""
        (tmp_path / "tokens").write_text("", encoding="utf-8")
        await search.write(REQUEST)
        assert await asyncio.wait_for(search.code(), 5) is Codes.UNAUTHENTICATED
        assert served.service.asked == ["환율"]


async def test_a_caller_without_a_token_is_not_told_of_limits_and_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "MAX_CALLS", 0)
    monkeypatch.setattr(connections, "FAIR_CALLS", 0)
    async with guarded(tmp_path / "tokens", monkeypatch) as served:
        served.overload = Overloaded(0.7)
        large: Any = tuple((f"x-{number}", "y" * 1000) for number in range(14))
        for metadata in ((), large, bearer("wrong"), (*large, *bearer("wrong"))):
            assert await served.code(metadata=metadata) is Codes.UNAUTHENTICATED
        assert await served.code(metadata=bearer("t" * 16)) is Codes.RESOURCE_EXHAUSTED
        assert await served.counted() == {"Unauthenticated": 4, "ResourceExhausted": 1}


def refused(served: Served) -> dict[str, float]:
    """Returns how often each reason has been counted."""
    found = {reason: counter._value.get() for reason, counter in served.metrics.refused.items()}
    return {reason: count for reason, count in found.items() if count}


def zipped(content: bytes) -> bytes:
    """Returns the DATA frame of a message that is compressed."""
    small = gzip.compress(content)
    return DataFrame(1, struct.pack(">BL", 1, len(small)) + small, flags=["END_STREAM"]).serialize()


async def test_refused_calls_are_counted_by_reason_and_logged_with_the_name_of_their_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with guarded(tmp_path / "tokens", monkeypatch) as served:
        (tmp_path / "tokens").write_text(f"search mobile-app {'t' * 16}\n", encoding="utf-8")
        token = bearer("t" * 16)
        assert await served.code() is Codes.UNAUTHENTICATED
        assert await served.code(metadata=bearer("wrong")) is Codes.UNAUTHENTICATED
        for _ in range(3):
            assert await served.code(path=WATCH, metadata=token) is Codes.PERMISSION_DENIED
        assert await served.code(path="/a/b", metadata=token) is Codes.UNIMPLEMENTED
        monkeypatch.setattr(connections, "MAX_CALLS", 0)
        monkeypatch.setattr(connections, "FAIR_CALLS", 0)
        assert await served.code(metadata=token) is Codes.RESOURCE_EXHAUSTED
        assert refused(served) == {
            "token_missing": 1,
            "token_unknown": 1,
            "role_insufficient": 3,
            "unknown_method": 1,
            "connection_overloaded": 1,
        }
        lines = [line for line in caplog.messages if line.startswith("refused: ")]
        assert len(lines) == 5, "one for each reason"
        assert f"refused: role_insufficient, {WATCH}, token of mobile-app, ipv4:127.0.0.1:" in lines[2]
        assert "token of" not in lines[0] + lines[1]
        assert "wrong" not in caplog.text
        assert "t" * 16 not in caplog.text


@pytest.mark.parametrize("method", [SEARCH, STREAM])
@pytest.mark.parametrize(
    "data",
    [
        DataFrame(1, struct.pack(">BL", 0, 5_000_000) + b"x" * 1000).serialize(),
        zipped(bytes(5_000_000)),
        zipped(bytes(100)).replace(b"\x1f\x8b", b"xx"),
    ],
    ids=["too large", "gzip bomb", "no gzip"],
)
async def test_a_message_that_grpc_refuses_is_counted(served: Served, method: str, data: bytes) -> None:
    with connected(served.address, opened(method, grpc_encoding="gzip") + data) as client:
        await asyncio.to_thread(received_until, client, b"grpc-status")
        assert await served.counted(method.rpartition("/")[2]) == {"ResourceExhausted": 1}
    assert refused(served) == {"message_too_large": 1}
    assert not served.service.asked


@pytest.mark.parametrize("how", ["cancel", "deadline", "disconnect", "end"])
async def test_a_client_that_leaves_is_not_counted_as_refused(served: Served, how: str) -> None:
    if how == "disconnect":
        with connected(served.address, opened(STREAM)):
            await until(lambda: served.calls.running)
    else:
        call = served.channel.stream_stream(STREAM)(timeout=0.3 if how == "deadline" else None)
        await call.write(REQUEST)
        assert await call.read() == b""
        if how == "cancel":
            call.cancel()
        elif how == "end":
            await call.done_writing()
    await until(lambda: not served.calls.running)
    await served.counted("SearchStream")
    assert not refused(served)


def test_every_method_has_a_role() -> None:
    assert {f"/{method.service}/{method.name}" for method in METHODS} == set(ROLE_OF)


async def test_searches_are_rejected_during_overload_before_they_are_read(served: Served) -> None:
    served.overload = Overloaded(0.7)
    unfinished = served.channel.stream_unary(SEARCH)()
    assert await unfinished.code() is Codes.RESOURCE_EXHAUSTED
    assert dict(await unfinished.trailing_metadata())["grpc-retry-pushback-ms"] == "700"
    assert not served.service.asked
    assert await served.counted() == {"ResourceExhausted": 1}
    await served.call(b"", path="/chaja.v1.SearchService/BatchSearch")  # Bulk work has a separate queue.


async def test_unread_answers_are_bounded(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(connections, "MAX_UNSENT_BYTES", 2_000_000)
    served.service.answer_text = "r" * 1_000_000
    served.service.released.clear()
    no_window = greeting({SettingsFrame.INITIAL_WINDOW_SIZE: 0})
    calls = b"".join(headers(SEARCH, stream) + message(REQUEST, stream) for stream in range(1, 17, 2))
    with connected(served.address, no_window + calls) as client:
        await until(lambda: len(served.service.asked) >= 8)
        served.service.released.set()  # All eight were admitted before any of them was answered.
        assert await served.counted() == {"OK": 2, "ResourceExhausted": 6}
        client.sendall(headers(SEARCH, 17) + message(REQUEST, 17))
        await served.call()  # On a separate connection.
        assert await served.counted() == {"OK": 3, "ResourceExhausted": 7}
    await asyncio.sleep(0.1)  # The client disconnects without reading its answers.
    (line,) = caplog.messages
    assert line.startswith("refused: connection_overloaded")


async def test_a_too_large_answer_is_refused(served: Served) -> None:
    served.service.answer_text = "r" * (MAX_RESPONSE_BYTES - 4)  # A field of this length takes 4 bytes more.
    assert len(await served.call()) == MAX_RESPONSE_BYTES
    served.service.answer_text += "r"
    with pytest.raises(grpc.aio.AioRpcError, match=f"more than {MAX_RESPONSE_BYTES} bytes: ask for less") as raised:
        await served.call()
    assert raised.value.code() is Codes.RESOURCE_EXHAUSTED
    assert await served.counted() == {"OK": 1, "ResourceExhausted": 1}


async def test_a_refused_call_keeps_no_part_of_its_answer(served: Served) -> None:
    class Part:
        pass

    kept: list[weakref.ref[Part]] = []

    def answer() -> None:
        part = Part()
        kept.append(weakref.ref(part))
        raise ResponseTooLarge(MAX_RESPONSE_BYTES, "ask for less")

    served.service.answer = answer
    gc.disable()
    try:
        with pytest.raises(grpc.aio.AioRpcError, match="ask for less"):
            await served.call()
        assert await served.counted() == {"ResourceExhausted": 1}
        assert [each() for each in kept] == [None]
    finally:
        gc.enable()


async def test_a_client_of_a_unix_socket_does_not_lock_out_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "MAX_UNSENT_BYTES", 2_000_000)
    monkeypatch.setattr(connections, "MAX_CALLS", 4)
    monkeypatch.setattr(connections, "FAIR_CALLS", 2)
    async with serving(socket=tmp_path / "s") as served:
        served.service.answer_text = "r" * 1_000_000
        calls = b"".join(headers(SEARCH, stream) + message(REQUEST, stream) for stream in range(1, 17, 2))
        with connected(served.address, greeting({SettingsFrame.INITIAL_WINDOW_SIZE: 0}) + calls):
            while len(served.service.asked) < 8:
                await asyncio.sleep(0.01)
            assert (await served.counted())["ResourceExhausted"] >= 5
            served.service.answer_text = "r" * 10_000
            assert len(await served.call()) > 10_000


async def test_headers_are_bounded_over_all_their_frames(served: Served) -> None:
    fields: dict[str, Any] = {f"x-{number}": "y" * 1000 for number in range(20)}
    with connected(served.address, opened(SEARCH, **fields)) as client:
        answer = await asyncio.to_thread(received_until, client, b"headers have")
        assert b"grpc-status\x018" in answer
        client.sendall(headers(SEARCH, 3) + message(REQUEST, 3))
        while not served.service.asked:
            await asyncio.sleep(0.01)
    assert await served.counted() == {"OK": 1, "ResourceExhausted": 1}


async def test_invalid_headers_are_logged_once_and_without_their_values(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grpc_logs, "invalid_headers", RepeatedLine(grpc_logs.log, "%d invalid headers"))
    path = tmp_path / "tokens"
    path.write_text(f"search app {'t' * 16}\n", encoding="utf-8")
    async with serving(AccessTokens(path)) as served:
        for _ in range(20):
            token = opened(SEARCH, authorization=b"Bearer secret\xff", x_other=b"\xfe") + message(REQUEST)
            with connected(served.address, token) as client:
                await asyncio.to_thread(received_until, client, b"send a valid token")
    assert [line.partition(",")[0] for line in caplog.messages] == ["1 invalid headers", "refused: token_unknown"]
    assert "secret" not in caplog.text


async def test_only_a_connection_with_too_many_calls_is_rejected(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "MAX_CALLS", 8)
    monkeypatch.setattr(connections, "FAIR_CALLS", 2)
    served.service.released.clear()
    calls = [asyncio.create_task(served.call()) for _ in range(8)]
    await until(lambda: len(served.service.asked) >= 8)
    assert await served.code() is Codes.RESOURCE_EXHAUSTED
    async with grpc.aio.insecure_channel(served.address, options=[("grpc.use_local_subchannel_pool", 1)]) as other:
        search: Any = other.unary_unary(SEARCH)
        call = search(REQUEST)
        await until(lambda: len(served.service.asked) >= 9)
        served.service.released.set()
        await call
    await asyncio.gather(*calls)
    await served.call()
    assert await served.counted() == {"OK": 10, "ResourceExhausted": 1}
