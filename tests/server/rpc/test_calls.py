"""The wrapper of every call: answers, streams, and the end of both."""

import asyncio
from typing import Any

import grpc
import pytest
from hyperframe.frame import SettingsFrame

from chaja.v1 import (
    SearchRequest,
    SearchResponse,
    WatchChangesRequest,
    WatchChangesResponse,
)
from server.errors import NotReady, Overloaded
from server.rpc import calls as calls_module
from server.rpc.connections import LARGE_CALLS
from server.rpc.field_count import CHECKED_BYTES
from server.rpc.server import COUNTED_METHODS
from tests.integration.raw_calls import connected, greeting, headers, message
from tests.server.making import until
from tests.server.rpc.served_calls import (
    REQUEST,
    SEARCH,
    STREAM,
    WATCH,
    Codes,
    Served,
    raising,
)


async def test_a_call_is_answered_and_counted(served: Served) -> None:
    assert SearchResponse.FromString(await served.call()).model_revision == "r"
    assert served.service.asked == ["환율"]
    assert await served.counted() == {"OK": 1}
    assert served.errors() == {}


async def test_the_bytes_of_answers_are_counted_by_method(served: Served) -> None:
    served.service.answer_text = "r" * 1000
    answer = await served.call()
    watch = served.channel.unary_stream(WATCH)(WatchChangesRequest().SerializeToString())
    watched = [await watch.read(), await watch.read()]
    await watch.code()
    assert await served.counted("WatchChanges")
    counted = {
        method: served.value("chaja_response_bytes_total", grpc_service=service, grpc_method=method)
        for service, method in (
            ("chaja.v1.SearchService", "Search"),
            ("chaja.v1.CatalogService", "WatchChanges"),
            ("chaja.v1.SearchService", "BatchSearch"),
        )
    }
    assert counted == {"Search": len(answer), "WatchChanges": sum(map(len, watched)), "BatchSearch": 0}
    assert len(answer) > 1000
    assert all(watched)


@pytest.mark.parametrize(
    ("error", "counted"),
    [
        (NotReady("loading"), (Codes.UNAVAILABLE, "Unavailable", "NOT_READY")),
        (Overloaded(1.0), (Codes.RESOURCE_EXHAUSTED, "ResourceExhausted", "OVERLOADED")),
        (ZeroDivisionError("secret"), (Codes.INTERNAL, "Internal", "INTERNAL_FAULT")),
    ],
)
async def test_an_error_becomes_a_status_and_is_counted(
    served: Served, error: Exception, counted: tuple[grpc.StatusCode, str, str], caplog: pytest.LogCaptureFixture
) -> None:
    code, name, reason = counted
    served.service.answer = raising(error)
    status = await served.error()
    assert status.code() is code
    assert "secret" not in str(status.details())
    assert "grpc-status-details-bin" in dict(status.trailing_metadata() or ())
    assert await served.counted() == {name: 1}
    assert served.errors() == {reason: 1}
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
    assert served.errors() == {"UNKNOWN_METHOD": 1}
    names = {sample.labels.get("grpc_method") for each in served.metrics.registry.collect() for sample in each.samples}
    assert names == {None, *(method.name for method in COUNTED_METHODS)}, "clients cannot add series"


@pytest.mark.parametrize(("how", "name"), [("cancel", "Canceled"), ("deadline", "DeadlineExceeded")])
async def test_a_cancelled_call_is_counted_by_its_cause(served: Served, how: str, name: str) -> None:
    served.service.released.clear()
    call = served.channel.unary_unary(SEARCH)(REQUEST, timeout=0.3 if how == "deadline" else None)
    await until(lambda: served.service.asked)
    if how == "cancel":
        call.cancel()
    assert await call.code() is (Codes.CANCELLED if how == "cancel" else Codes.DEADLINE_EXCEEDED)
    assert await served.counted() == {name: 1}
    assert served.errors() == ({} if how == "cancel" else {"DEADLINE_PASSED": 1})


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


async def test_few_large_messages_of_a_connection_are_in_work_at_a_time(served: Served) -> None:
    served.service.released.clear()
    large = SearchRequest(query="x" * CHECKED_BYTES).SerializeToString()
    calls = [asyncio.ensure_future(served.call(large)) for _ in range(LARGE_CALLS + 3)]
    await until(lambda: len(served.service.asked) == LARGE_CALLS)
    async with grpc.aio.insecure_channel(served.address, options=[("grpc.use_local_subchannel_pool", 1)]) as other:
        send: Any = other.unary_unary(SEARCH)
        calls += [asyncio.ensure_future(served.call()), send(large)]
        await until(lambda: len(served.service.asked) == LARGE_CALLS + 2)
        served.service.released.set()
        await asyncio.gather(*calls)


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
