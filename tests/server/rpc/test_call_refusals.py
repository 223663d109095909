"""Refused calls, and the bounds of headers, answers and connections."""

import asyncio
import gc
import gzip
import struct
import weakref
from pathlib import Path
from typing import Any

import grpc
import pytest
from hyperframe.frame import DataFrame, SettingsFrame

from server.errors import Overloaded, ResponseTooLarge
from server.logs.rate import RepeatedLine
from server.rpc import connections, grpc_logs
from server.security.tokens import AccessTokens
from tests.integration.raw_calls import connected, greeting, headers, message, opened, received_until
from tests.server.logs.reading import events
from tests.server.making import until
from tests.server.rpc.served_calls import (
    MAX_RESPONSE_BYTES,
    REQUEST,
    SEARCH,
    STREAM,
    WATCH,
    Codes,
    Served,
    bearer,
    guarded,
    serving,
)


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
        lines = events(caplog, "server.audit")
        assert len(lines) == 5, "one for each reason"
        peer = lines[2].pop("peer")
        assert peer.startswith("ipv4:127.0.0.1:")
        refusal = {"event": "refused", "reason": "role_insufficient", "method": WATCH[1:], "token": "mobile-app"}
        assert lines[2] == refusal
        assert "token" not in lines[0].keys() | lines[1].keys()
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
    (line,) = events(caplog, "server.audit")
    assert line["reason"] == "connection_overloaded"


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
    assert caplog.messages[0] == "1 invalid headers"
    assert [line["reason"] for line in events(caplog, "server.audit")] == ["token_unknown"]
    assert len(caplog.messages) == 2
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
