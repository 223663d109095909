"""Calls as gRPC's own clients make them."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc
import pytest

from tests.server.transport.serving import SERVICE, Serving, insecure_channel, serving, synchronous_channel, until

LARGE = bytes(range(256)) * 12_000


@pytest.fixture
async def running() -> AsyncIterator[Serving]:
    async with serving() as server:
        yield server


@pytest.fixture
async def channel(running: Serving) -> AsyncIterator[Any]:
    async with insecure_channel(
        running.address, options=[("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    ) as channel:
        yield channel


def unary(channel: Any, name: str) -> Any:
    return channel.unary_unary(f"/{SERVICE}/{name}")


@pytest.mark.parametrize("message", [b"", b"hello", LARGE], ids=["empty", "short", "3 MB"])
async def test_a_message_comes_back(channel: Any, message: bytes) -> None:
    assert await unary(channel, "Echo")(message, timeout=10) == message


async def test_hundreds_of_calls_at_once_get_each_their_answer(channel: Any) -> None:
    messages = [str(number).encode() * (1 + number % 5000) for number in range(500)]
    assert await asyncio.gather(*(unary(channel, "Echo")(message) for message in messages)) == messages


async def test_the_synchronous_client_is_served_too(running: Serving) -> None:
    def call() -> tuple[bytes, list[bytes], bytes, list[bytes]]:
        with synchronous_channel(running.address) as channel:

            def requests() -> Iterator[bytes]:
                yield from (b"a", b"bc", LARGE)

            return (
                channel.unary_unary(f"/{SERVICE}/Echo")(b"hello", timeout=10),
                list(channel.unary_stream(f"/{SERVICE}/Repeat")(b"3", timeout=10)),
                channel.stream_unary(f"/{SERVICE}/Count")(requests(), timeout=10),
                list(channel.stream_stream(f"/{SERVICE}/Chat")(requests(), timeout=10)),
            )

    answers = await asyncio.to_thread(call)
    assert answers == (b"hello", [b"0", b"1", b"2"], b"3072003", [b"a", b"bc", LARGE, b"bye"])


async def test_metadata_come_and_go(channel: Any, running: Serving) -> None:
    sent = (("x-text", "some, text"), ("x-raw-bin", bytes(range(256))), ("x-raw-bin", b""), ("x-text", "again"))
    call = unary(channel, "Metadata")(b"", metadata=sent, timeout=10)
    assert (await call).startswith(b"ipv4:127.0.0.1:")
    assert sorted(map(tuple, await call.initial_metadata()), key=str) == sorted(sent, key=str)
    assert sorted(map(tuple, await call.trailing_metadata()), key=str) == sorted(sent, key=str)
    names = [datum.key for datum in running.methods.contexts[0].invocation_metadata()]
    assert sorted(names) == ["user-agent", "x-raw-bin", "x-raw-bin", "x-text", "x-text"]


async def test_abort_tells_code_words_and_metadata(channel: Any) -> None:
    words = "50 % of 한국어\nare lost"
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await unary(channel, "Abort")(words.encode())
    assert caught.value.code() is grpc.StatusCode.DATA_LOSS
    assert caught.value.details() == words
    assert tuple(map(tuple, caught.value.trailing_metadata())) == (("x-why-bin", b"\0\1"),)


async def test_a_code_that_was_set_wins_over_the_answer(channel: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await unary(channel, "SetCode")(b"")
    assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.NOT_FOUND, "nowhere")


async def test_an_exception_is_logged_and_not_told(channel: Any, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await unary(channel, "Fail")(b"")
    assert caught.value.code() is grpc.StatusCode.UNKNOWN
    assert "secret" not in (caught.value.details() or "")
    assert "a secret" in caplog.text


@pytest.mark.parametrize("path", [f"/{SERVICE}/Missing", "/missing.Service/Echo", "/", f"{SERVICE}/Echo"])
async def test_an_unknown_method_is_unimplemented(channel: Any, path: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await channel.unary_unary(path)(b"", timeout=10)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_streams_go_both_ways(channel: Any) -> None:
    async def requests() -> AsyncIterator[bytes]:
        for number in range(100):
            yield str(number).encode()
        yield LARGE

    numbers = [str(number).encode() for number in range(100)]
    repeated = channel.unary_stream(f"/{SERVICE}/Repeat")(b"100")
    assert [answer async for answer in repeated] == numbers
    chat = channel.stream_stream(f"/{SERVICE}/Chat")(requests())
    assert [answer async for answer in chat] == [*numbers, LARGE, b"bye"]
    written = channel.stream_stream(f"/{SERVICE}/ReadWrite")(requests())
    assert [answer async for answer in written] == [*numbers, LARGE]
    assert await channel.stream_unary(f"/{SERVICE}/Count")(requests()) == b"3072190"
    nothing = channel.unary_stream(f"/{SERVICE}/Repeat")(b"0")
    assert [answer async for answer in nothing] == []


async def test_gzip_is_read(running: Serving) -> None:
    async with insecure_channel(running.address, compression=grpc.Compression.Gzip) as channel:
        assert await unary(channel, "Echo")(LARGE[:500_000], timeout=10) == LARGE[:500_000]


async def test_deflate_is_unimplemented(running: Serving) -> None:
    async with insecure_channel(running.address, compression=grpc.Compression.Deflate) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await unary(channel, "Echo")(LARGE[:5000], timeout=10)
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
async def test_a_message_that_is_too_large_is_refused(compression: grpc.Compression) -> None:
    async with (
        serving(max_message_bytes=1000) as running,
        insecure_channel(running.address, compression=compression) as channel,
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await unary(channel, "Echo")(bytes(1001), timeout=10)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert await unary(channel, "Echo")(bytes(1000), timeout=10) == bytes(1000)


async def test_headers_that_are_too_large_are_refused(channel: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await unary(channel, "Echo")(b"", metadata=(("x-large", "x" * 20_000),), timeout=10)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert await unary(channel, "Echo")(b"ok", timeout=10) == b"ok"


async def test_the_deadline_ends_a_call(channel: Any, running: Serving) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await unary(channel, "Gated")(b"", timeout=0.1)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await until(lambda: running.methods.cancelled == ["Gated"])
    context = running.methods.contexts[0]
    # The server counts from the arrival of the call, so that the client may have given it up some milliseconds before.
    await until(lambda: context.time_remaining() <= 0)
    assert context.cancelled()
    assert context.done()


async def test_time_remaining_is_what_the_client_gave(channel: Any, running: Serving) -> None:
    await unary(channel, "Echo")(b"", timeout=30)
    await unary(channel, "Echo")(b"")
    with_deadline, without = running.methods.contexts
    assert 28 < with_deadline.time_remaining() <= 30.1
    assert without.time_remaining() is None
    assert without.code() is None


async def test_cancelling_cancels_the_method(channel: Any, running: Serving) -> None:
    call = unary(channel, "Gated")(b"")
    told: list[Any] = []
    await until(lambda: running.methods.contexts)
    running.methods.contexts[0].add_done_callback(told.append)
    call.cancel()
    await until(lambda: running.methods.cancelled == ["Gated"])
    assert told == running.methods.contexts
    assert await unary(channel, "Echo")(b"still here") == b"still here"


async def test_a_lost_connection_cancels_the_method(running: Serving) -> None:
    async with insecure_channel(running.address) as channel:
        call = unary(channel, "Gated")(b"")
        await until(lambda: running.methods.contexts)
    await until(lambda: running.methods.cancelled == ["Gated"])
    assert call.done()


async def test_a_thousand_cancelled_calls_are_forgiven(channel: Any, running: Serving) -> None:
    for _ in range(4):
        calls = [unary(channel, "Gated")(b"") for _ in range(500)]
        seen = len(running.methods.contexts)
        await until(lambda seen=seen: len(running.methods.contexts) > seen)
        for call in calls:
            call.cancel()
    assert await unary(channel, "Echo")(b"still here") == b"still here"


async def test_a_reader_that_stops_stops_the_writer(channel: Any, running: Serving) -> None:
    call = channel.unary_stream(f"/{SERVICE}/Flood")(b"10000")
    assert len(await call.read()) == 10_000
    await asyncio.sleep(0.3)
    written = running.methods.written
    await asyncio.sleep(0.3)
    assert running.methods.written == written < 5000
    call.cancel()
    await until(lambda: running.methods.cancelled == ["Flood"])


async def test_a_slow_method_stops_its_client(channel: Any, running: Serving) -> None:
    call = channel.stream_unary(f"/{SERVICE}/Trickle")()
    sent = 0

    async def send() -> None:
        nonlocal sent
        for _ in range(300):
            await call.write(bytes(10_000))
            sent += 1
        await call.done_writing()

    sender = asyncio.create_task(send())
    await asyncio.sleep(0.3)
    assert sent < 100
    (connection,) = running.server._host.connections
    assert connection.held_bytes < 100_000
    running.methods.gate.set()
    await sender
    await call
    assert running.methods.read == 300
    assert connection.held_bytes == 0


async def test_a_sender_that_is_refused_hears_why(channel: Any) -> None:
    async def requests() -> AsyncIterator[bytes]:
        while True:
            yield bytes(10_000)

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await channel.stream_unary(f"/{SERVICE}/Missing")(requests(), timeout=10)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_no_call_leaves_a_trace(channel: Any, running: Serving) -> None:
    await asyncio.gather(*(unary(channel, "Echo")(b"", timeout=5) for _ in range(50)))
    host = running.server._host
    await until(lambda: not host.running)
    (connection,) = host.connections
    assert connection.calls == {}
    assert not any(host.deadlines._slots.values())


async def test_a_mixed_crowd_gets_what_it_asked_for(running: Serving, caplog: pytest.LogCaptureFixture) -> None:
    """Four clients, all shapes of calls, some cancelled, some out of time: answers are right and nothing is left."""
    choose = random.Random(7)

    async def ask(channel: Any) -> None:
        message = bytes([choose.randrange(256)]) * choose.choice((0, 1, 50, 20_000, 200_000))
        kind = choose.randrange(6)
        await asyncio.sleep(choose.random() / 2)
        if kind == 0:
            assert await unary(channel, "Echo")(message, timeout=30) == message
        elif kind == 1:
            chat = channel.stream_stream(f"/{SERVICE}/ReadWrite")(iter([message] * 5), timeout=30)
            assert [answer async for answer in chat] == [message] * 5
        elif kind == 2:
            count = await channel.stream_unary(f"/{SERVICE}/Count")(iter([message] * 5), timeout=30)
            assert int(count) == 5 * len(message)
        elif kind == 3:
            repeated = channel.unary_stream(f"/{SERVICE}/Repeat")(b"50", timeout=30)
            assert [int(answer) async for answer in repeated] == list(range(50))
        elif kind == 4:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await unary(channel, "Gated")(message, timeout=0.2)
            assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        else:
            flood = channel.unary_stream(f"/{SERVICE}/Flood")(b"1000", timeout=30)
            await flood.read()
            flood.cancel()

    channels = [insecure_channel(running.address, options=[("grpc.use_local_subchannel_pool", 1)]) for _ in range(4)]
    await asyncio.gather(*(ask(channel) for channel in channels for _ in range(100)))
    host = running.server._host
    await until(lambda: not host.running)
    assert len(host.connections) == 4
    for connection in host.connections:
        assert (connection.calls, connection.held_bytes, connection.outbox.waiting_bytes) == ({}, 0, 0)
    for channel in channels:
        await channel.close()
    assert not caplog.records


@pytest.fixture(autouse=True)
def _loud(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
