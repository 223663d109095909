from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from h2.settings import SettingCodes

from loadtest.codes import CODES
from loadtest.errors import AttackError, UsageError
from loadtest.target import Target
from loadtest.wire import channel as wire_channel
from loadtest.wire import frames
from loadtest.wire.call import WireCall
from loadtest.wire.channel import Answer, Channel
from loadtest.wire.frames import frame
from tests.loadtest.wire.asking import ask, channel_to
from tests.loadtest.wire.peer import METHOD, PeerConnection, echo, serving, silence, until

Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port


@pytest.fixture(autouse=True)
async def _nothing_is_left() -> AsyncIterator[None]:
    """Each test leaves no task, and no socket for the collector to warn of."""
    before = asyncio.all_tasks()
    yield
    await asyncio.sleep(0)
    assert asyncio.all_tasks() - before <= {asyncio.current_task()}
    gc.collect()


async def test_a_call_needs_not_wait_for_the_connection() -> None:
    async with serving() as peer, channel_to(peer) as channel:
        assert await asyncio.gather(*(ask(channel) for _ in range(5))) == [Answer("OK", "", [b"x"])] * 5
        await channel.connected()
        assert len(peer.connections) == 1


async def test_a_unix_socket_is_called_by_the_name_of_localhost(tmp_path: Path) -> None:
    async with serving(path=str(tmp_path / "소켓")) as peer, channel_to(peer) as channel:
        assert (await ask(channel, b"x" * 100_000)).code == "OK"
        assert (":authority", "localhost") in peer.connections[0].headers[0]


@pytest.mark.parametrize(
    ("address", "authority", "expected"),
    [
        ("dns:///search:50051", "", b"search:50051"),
        ("[::1]:50051", "", b"[::1]:50051"),
        ("127.0.0.1:1", "search.example", b"search.example"),
        ("검색.example:50051", "", b"xn--c79as89a.example:50051"),
        ("unix:/tmp/x", "search.example", b"search.example"),
    ],
)
async def test_the_authority_is_that_of_the_address_or_the_one_given(
    address: str, authority: str, expected: bytes
) -> None:
    headers = Channel(Target(address=address, authority=authority)).headers(METHOD, timeout_seconds=1)
    assert bytes((len(expected),)) + expected in headers


async def test_metadata_that_cannot_be_sent_are_refused() -> None:
    with pytest.raises(UsageError, match="16384 at most"):
        Channel(Target(address="127.0.0.1:1", token="t" * 20_000)).headers(METHOD, timeout_seconds=1)


async def test_where_nothing_listens_calls_fail_at_once_and_connecting_says_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(wire_channel, "CONNECT_SECONDS", 0.3)
    async with Channel(Target(address=f"127.0.0.1:{_free_port()}")) as channel:
        started = time.perf_counter()
        for _ in range(3):
            answer = await ask(channel)
            assert answer.code == "UNAVAILABLE"
            assert "Connect call failed" in answer.message
        assert time.perf_counter() - started < 0.2
        with pytest.raises(AttackError, match=r"does not answer: no connection within 0\.3 seconds .*Connect call"):
            await channel.connected()


@pytest.mark.parametrize("address", ["a..b:1", "unix:/nowhere/socket", f"unix:/{'x' * 200}", "unix:a\0b"])
async def test_an_address_that_leads_nowhere_fails_calls_at_once(address: str) -> None:
    async with Channel(Target(address=address)) as channel:
        async with asyncio.timeout(2):
            assert (await ask(channel)).code == "UNAVAILABLE"


async def _refused_by(handle: Handle, *, seconds: float, monkeypatch: pytest.MonkeyPatch) -> tuple[Answer, str]:
    monkeypatch.setattr(wire_channel, "CONNECT_SECONDS", seconds)
    accepted: list[asyncio.StreamWriter] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.append(writer)
        with contextlib.suppress(ConnectionError):
            await handle(reader, writer)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    async with Channel(Target(address=f"127.0.0.1:{server.sockets[0].getsockname()[1]}")) as channel:
        answer = await ask(channel)
        with pytest.raises(AttackError) as error:
            await channel.connected()
    await asyncio.sleep(0.01)  # A server that is closed while it accepts leaves a socket open.
    server.close()
    await server.wait_closed()
    for writer in accepted:
        writer.transport.abort()
    await asyncio.sleep(0.01)
    return answer, str(error.value)


async def test_a_server_that_accepts_and_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    answer, error = await _refused_by(handle, seconds=0.1, monkeypatch=monkeypatch)
    assert (answer.code, answer.message) == ("UNAVAILABLE", "no connection: no answer")
    assert "does not answer: no connection within 0.1 seconds" in error


@pytest.mark.parametrize(
    ("says", "why"),
    [
        (b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n", "it does not speak HTTP/2, or wants TLS"),
        (b"\x15\x03\x01\x00\x02\x02\x46\0\0", "it does not speak HTTP/2, or wants TLS"),
        (b"", "the connection was closed"),
    ],
)
async def test_a_server_of_another_protocol_is_recognised(
    says: bytes, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(24)
        writer.write(says)
        writer.close()

    answer, error = await _refused_by(handle, seconds=0.3, monkeypatch=monkeypatch)
    assert answer.code == "UNAVAILABLE"
    assert why in answer.message
    assert why in error


async def test_a_server_that_greets_and_goes_away_at_once_is_not_called(monkeypatch: pytest.MonkeyPatch) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(frames.settings({}) + frame(frames.GOAWAY, 0, 0, bytes(8)))
        await reader.read()
        writer.close()

    answer, error = await _refused_by(handle, seconds=0.3, monkeypatch=monkeypatch)
    assert (answer.code, answer.message) == ("UNAVAILABLE", "no connection: the server is going away")
    assert "the server is going away" in error


async def test_calls_in_flight_are_unavailable_when_the_server_is_lost_and_succeed_when_it_is_back() -> None:
    async with serving(silence) as peer, channel_to(peer) as channel:
        await channel.connected()
        port = int(peer.address.rpartition(":")[2])
        calls = [asyncio.create_task(ask(channel)) for _ in range(3)]
        await until(lambda: len(peer.connections[0].requests) == 3)
        lost = peer.connections[0]
        lost.transport.abort()
        for call in calls:
            answer = await call
            assert answer.code == "UNAVAILABLE"
            assert answer.message.startswith("connection lost: ")
        peer.answer = echo
        assert (await ask(channel)).code == "OK"

    async with Channel(Target(address=f"127.0.0.1:{port}")) as channel:
        assert (await ask(channel)).code == "UNAVAILABLE"
        async with asyncio.timeout(0.05):
            for _ in range(20):
                assert (await ask(channel)).code == "UNAVAILABLE"
        await asyncio.sleep(0.8)
        async with serving(port=port):
            started = time.perf_counter()
            while (await ask(channel)).code != "OK":
                await asyncio.sleep(0.01)
            assert time.perf_counter() - started < 1.5
            assert (await ask(channel)).code == "OK"


@pytest.mark.parametrize("with_goodbye", [False, True])
async def test_a_server_that_closes_politely_ends_its_calls(with_goodbye: bool) -> None:
    def leave(connection: PeerConnection, stream: int, body: bytes) -> None:
        if with_goodbye:
            connection.raw(frame(frames.GOAWAY, 0, 0, bytes(8)))
        connection.transport.close()

    async with serving(leave) as peer, channel_to(peer) as channel:
        answer = await ask(channel)
        expected = "the server is going away" if with_goodbye else "connection lost: closed by the server"
        assert (answer.code, answer.message) == ("UNAVAILABLE", expected)
        peer.answer = echo
        assert (await ask(channel)).code == "OK"


@pytest.mark.parametrize("streams", [1, 100])
async def test_closing_ends_every_call_and_those_started_later(streams: int) -> None:
    async with serving(silence, {SettingCodes.MAX_CONCURRENT_STREAMS: streams}) as peer:
        async with channel_to(peer) as channel:
            await channel.connected()
            calls = [asyncio.create_task(ask(channel, b"x" * 100_000)) for _ in range(5)]
            await until(lambda: peer.connections[0].requests)
        answers = [await call for call in calls]
        assert {(answer.code, answer.message) for answer in answers} == {
            ("UNAVAILABLE", "connection lost: the channel was closed")
        }
        assert (await ask(channel)).message == "no connection: the channel was closed"
        await until(lambda: peer.open_connections == 0)
        assert len(peer.connections) == 1


async def test_closing_before_there_is_a_connection_ends_the_calls_that_wait_for_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        async with Channel(Target(address=f"127.0.0.1:{deaf.getsockname()[1]}")) as channel:
            calls = [asyncio.create_task(ask(channel)) for _ in range(3)]
            await asyncio.sleep(0.02)
        async with asyncio.timeout(1):
            assert {(await call).code for call in calls} == {"UNAVAILABLE"}
        accepted, _ = deaf.accept()
        with accepted:
            accepted.settimeout(1)
            with contextlib.suppress(ConnectionResetError):
                while accepted.recv(1000):
                    pass


async def test_closing_ends_connections_that_the_server_is_leaving_too() -> None:
    async with serving(silence) as peer:
        async with channel_to(peer) as channel:
            old = asyncio.create_task(ask(channel))
            await until(lambda: peer.connections and peer.connections[0].requests)
            peer.connections[0].raw(frame(frames.GOAWAY, 0, 0, (1).to_bytes(4, "big") + bytes(4)))
            peer.answer = echo
            await asyncio.sleep(0.02)
            assert (await ask(channel)).code == "OK"
            assert len(peer.connections) == 2
            assert not old.done()
        assert (await old).code == "UNAVAILABLE"
        await until(lambda: peer.open_connections == 0)


async def test_a_deadline_is_kept_while_there_is_no_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        async with Channel(Target(address=f"127.0.0.1:{deaf.getsockname()[1]}")) as channel:
            async with asyncio.timeout(1):
                assert (await ask(channel, seconds=0.05)).code == "DEADLINE_EXCEEDED"


async def test_each_call_that_expires_may_start_the_next_one() -> None:
    async with serving(silence) as peer, channel_to(peer) as channel:
        await channel.connected()
        headers = channel.headers(METHOD, timeout_seconds=0.05)
        codes: list[str] = []

        def start() -> None:
            channel.start(headers, [b"x"], on_end, timeout_seconds=0.05)

        def on_end(call: WireCall, code: int, at_ns: int) -> None:
            codes.append(CODES[code])
            if len(codes) <= 600:
                start()

        for _ in range(600):
            start()
        await until(lambda: len(codes) == 1200, seconds=10)
        assert set(codes) == {"DEADLINE_EXCEEDED"}
        await until(lambda: len(peer.resets) == 1200)


async def test_a_deadline_of_nothing_is_exceeded_and_told_after_the_start() -> None:
    async with serving(silence) as peer, channel_to(peer) as channel:
        await channel.connected()
        async with asyncio.timeout(1):
            assert (await ask(channel, seconds=0)).code == "DEADLINE_EXCEEDED"
        await until(lambda: len(peer.resets) == 1)


async def test_the_library_s_own_server_is_called_with_large_messages_and_a_thousand_at_once() -> None:
    large = bytes(20 * 1024 * 1024)

    async def answer(request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        return large if request == b"large" else request

    async def count(request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> AsyncIterator[bytes]:
        for number in range(200):
            yield b"%d" % number
        await context.abort(grpc.StatusCode.OUT_OF_RANGE, "더 없다")

    options = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
    server = grpc.aio.server(options=options)
    handlers: dict[str, Any] = {
        "Call": grpc.unary_unary_rpc_method_handler(answer),
        "Count": grpc.unary_stream_rpc_method_handler(count),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Test", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with Channel(Target(address=f"127.0.0.1:{port}")) as channel:
            assert (await ask(channel, b"large", seconds=20)).messages == [large]
            assert (await ask(channel, large, seconds=20)).messages == [large]
            calls = [asyncio.create_task(ask(channel, b"%d" % number, seconds=20)) for number in range(1000)]
            assert [(await call).messages for call in calls] == [[b"%d" % number] for number in range(1000)]
            counted = await channel.call("/test.Test/Count", [b""], timeout_seconds=5)
            assert counted == Answer("OUT_OF_RANGE", "더 없다", [b"%d" % number for number in range(200)])
            assert (await channel.call("/test.Test/None", [b""], timeout_seconds=5)).code == "UNIMPLEMENTED"
    finally:
        await server.stop(None)
