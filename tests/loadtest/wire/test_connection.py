from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

import pytest
from h2.settings import SettingCodes

from loadtest.codes import CODES
from loadtest.wire import connection as wire_connection
from loadtest.wire import frames
from loadtest.wire.call import WireCall
from loadtest.wire.channel import Answer
from loadtest.wire.frames import frame
from tests.loadtest.wire.asking import ask, channel_to
from tests.loadtest.wire.peer import (
    CALM,
    CANCEL,
    HEADERS,
    INTERNAL_ERROR,
    METHOD,
    REFUSED_STREAM,
    SECURITY,
    PeerConnection,
    echo,
    prefixed,
    serving,
    silence,
    until,
)


async def _answer_to(answer: Callable[[PeerConnection, int], None]) -> Answer:
    async with serving(lambda connection, stream, _: answer(connection, stream)) as peer, channel_to(peer) as channel:
        return await ask(channel)


async def _codes(calls: Sequence[asyncio.Task[Answer]]) -> list[str]:
    return [(await call).code for call in calls]


async def test_a_call_is_answered() -> None:
    async with serving() as peer, channel_to(peer) as channel:
        assert await ask(channel, b"one", b"", b"two") == Answer("OK", "", [b"one", b"", b"two"])
        (headers,) = peer.connections[0].headers
        assert dict(headers) == {
            ":method": "POST",
            ":scheme": "http",
            ":path": METHOD,
            ":authority": peer.address,
            "te": "trailers",
            "content-type": "application/grpc",
            "grpc-timeout": "5000000u",
            "user-agent": "chaja-loadtest",
        }


async def test_a_server_without_a_dynamic_table_takes_calls() -> None:
    async with serving(settings={SettingCodes.HEADER_TABLE_SIZE: 0}) as peer, channel_to(peer) as channel:
        for _ in range(3):
            assert (await ask(channel)).code == "OK"


async def test_an_error_without_a_message_is_told() -> None:
    answer = await _answer_to(
        lambda connection, stream: connection.error(
            stream, *HEADERS, ("grpc-status", "8"), ("grpc-message", "no%20room, 100%25 %EB%8B%B5")
        )
    )
    assert answer == Answer("RESOURCE_EXHAUSTED", "no room, 100% 답", [])


async def test_an_error_after_messages_is_told() -> None:
    answer = await _answer_to(
        lambda connection, stream: connection.answer(stream, prefixed(b"a"), (("grpc-status", "15"),))
    )
    assert answer == Answer("DATA_LOSS", "", [b"a"])


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (0, "INTERNAL"),
        (INTERNAL_ERROR, "INTERNAL"),
        (REFUSED_STREAM, "UNAVAILABLE"),
        (CANCEL, "CANCELLED"),
        (CALM, "RESOURCE_EXHAUSTED"),
        (SECURITY, "PERMISSION_DENIED"),
        (0xFFFF, "INTERNAL"),
    ],
)
async def test_a_reset_stream_ends_with_the_code_of_its_error(error: int, code: str) -> None:
    answer = await _answer_to(lambda connection, stream: connection.h2.reset_stream(stream, error))
    assert answer == Answer(code, f"the server reset the stream: error {error}", [])


@pytest.mark.parametrize(("http", "code"), [("503", "UNAVAILABLE"), ("404", "UNIMPLEMENTED"), ("500", "UNKNOWN")])
@pytest.mark.parametrize("page", [b"", b"no", b"<html>upstream connect error</html>" * 2000])
async def test_a_proxy_s_error_page_ends_with_the_code_of_its_http_status(http: str, code: str, page: bytes) -> None:
    async with (
        (
            serving(lambda connection, stream, _: connection.answer(stream, page, (), ((":status", http),)))
            if page
            else serving(lambda connection, stream, _: connection.error(stream, (":status", http)))
        ) as peer,
        channel_to(peer) as channel,
    ):
        assert await ask(channel) == Answer(code, f"HTTP status {http}", [])
        peer.answer = echo
        assert (await ask(channel)).code == "OK"
        assert len(peer.connections) == 1


async def test_a_grpc_status_goes_before_the_http_status() -> None:
    answer = await _answer_to(
        lambda connection, stream: connection.error(stream, (":status", "503"), ("grpc-status", "7"))
    )
    assert answer.code == "PERMISSION_DENIED"


async def test_an_answer_without_trailers_is_of_unknown_outcome() -> None:
    answer = await _answer_to(lambda connection, stream: connection.answer(stream, prefixed(b"a"), ()))
    assert answer == Answer("UNKNOWN", "the answer has no grpc-status", [b"a"])


async def test_half_a_message_is_an_internal_error() -> None:
    assert (await _answer_to(lambda connection, stream: connection.answer(stream, b"\0\0\0\0\5abc"))).code == "INTERNAL"


async def test_a_compressed_message_is_an_internal_error_and_the_stream_is_given_up() -> None:
    def answer(connection: PeerConnection, stream: int, body: bytes) -> None:
        connection.h2.send_headers(stream, HEADERS)
        connection.h2.send_data(stream, b"\1\0\0\0\1x")

    async with serving(answer) as peer, channel_to(peer) as channel:
        answered = await ask(channel)
        assert (answered.code, answered.message) == ("INTERNAL", "the answer is compressed, or not gRPC")
        await until(lambda: peer.resets == [(1, CANCEL)])


async def test_interim_headers_and_unknown_frames_are_passed_over() -> None:
    def answer(connection: PeerConnection, stream: int, body: bytes) -> None:
        connection.h2.send_headers(stream, [(":status", "103")])
        connection.raw(frame(0xBE, 0xFF, stream, b"grease") + frame(2, 0, stream, b"12345"))
        connection.answer(stream, body)

    async with serving(answer) as peer, channel_to(peer) as channel:
        assert (await ask(channel)).code == "OK"


async def test_headers_in_continuation_frames_are_put_together() -> None:
    long = [(f"x-{number}", "~" * 1000) for number in range(40)]
    answer = await _answer_to(
        lambda connection, stream: connection.answer(
            stream, prefixed(b"a"), [("grpc-status", "9"), *long, ("grpc-message", "end")], [*HEADERS, *long]
        )
    )
    assert answer == Answer("FAILED_PRECONDITION", "end", [b"a"])


@pytest.mark.parametrize(
    "sent",
    [
        frame(frames.CONTINUATION, frames.END_HEADERS, 1, b"\x88"),
        frame(frames.HEADERS, 0, 1, b"\x88") + frame(frames.CONTINUATION, frames.END_HEADERS, 3, b"\x88"),
        frame(frames.HEADERS, frames.END_HEADERS, 1, b"\xff\xff\xff\xff"),
        frame(frames.HEADERS, frames.END_HEADERS | frames.PADDED, 1, b"\x09\x88"),
        frame(frames.HEADERS, 0, 1) + frame(frames.CONTINUATION, 0, 1, bytes(16_384)) * 65,
        b"\xff" * 20,
    ],
)
async def test_what_is_not_http2_ends_the_connection_and_the_next_call_has_another(sent: bytes) -> None:
    async with serving(lambda connection, stream, _: connection.raw(sent)) as peer, channel_to(peer) as channel:
        answer = await ask(channel)
        assert answer.code == "UNAVAILABLE"
        assert answer.message.startswith("connection lost: what came is not HTTP/2: ")
        peer.answer = echo
        assert (await ask(channel)).code == "OK"
        assert len(peer.connections) == 2


async def test_a_ping_is_answered() -> None:
    async with serving() as peer, channel_to(peer) as channel:
        await channel.connected()
        peer.connections[0].h2.ping(b"12345678")
        peer.connections[0].flush()
        await until(lambda: peer.pongs == [b"12345678"])


@pytest.mark.parametrize("late", [False, True])
async def test_no_more_streams_are_open_than_the_server_allows(late: bool) -> None:
    def answer(connection: PeerConnection, stream: int, body: bytes) -> None:
        asyncio.get_running_loop().call_later(0.002, connection.answer, stream, body)

    limit = {SettingCodes.MAX_CONCURRENT_STREAMS: 2}
    async with serving(answer, {} if late else limit) as peer, channel_to(peer) as channel:
        await channel.connected()
        if late:
            peer.connections[0].change(SettingCodes.MAX_CONCURRENT_STREAMS, 2)
            await until(lambda: peer.acknowledged == 2)
        calls = [asyncio.create_task(ask(channel, b"%d" % number)) for number in range(20)]
        answers = [await call for call in calls]
        assert [answer.messages for answer in answers] == [[b"%d" % number] for number in range(20)]
        assert peer.most_open == 2


async def test_a_call_that_waits_for_a_stream_is_not_overtaken_by_those_that_follow_an_answer() -> None:
    async with serving(settings={SettingCodes.MAX_CONCURRENT_STREAMS: 1}) as peer, channel_to(peer) as channel:
        await channel.connected()
        order: list[str] = []
        headers = channel.headers(METHOD, timeout_seconds=5)

        def start(name: str, follow_ups: int) -> None:
            def on_end(call: WireCall, code: int, at_ns: int) -> None:
                order.append(name)
                if follow_ups:
                    start(name, follow_ups - 1)

            channel.start(headers, [b"x"], on_end, timeout_seconds=5)

        start("a", 2)
        start("b", 2)
        await until(lambda: len(order) == 6)
        assert "".join(order) == "ababab"


async def test_an_expired_call_gives_its_stream_to_one_that_waits() -> None:
    async with serving(silence, {SettingCodes.MAX_CONCURRENT_STREAMS: 1}) as peer, channel_to(peer) as channel:
        await channel.connected()
        first = asyncio.create_task(ask(channel, seconds=0.05))
        await until(lambda: peer.connections[0].requests)
        second = asyncio.create_task(ask(channel))
        peer.answer = echo
        assert await _codes([first, second]) == ["DEADLINE_EXCEEDED", "OK"]
        assert peer.resets == [(1, CANCEL)]


async def test_many_small_messages_of_a_stream_come_in_order() -> None:
    messages = [b"%d" % number for number in range(20_000)]
    answer = await _answer_to(lambda connection, stream: connection.answer(stream, prefixed(*messages)))
    assert answer == Answer("OK", "", messages)


async def test_a_deadline_tells_the_server_and_frees_the_stream() -> None:
    async with serving(silence) as peer, channel_to(peer) as channel:
        started = time.perf_counter()
        answer = await ask(channel, seconds=0.05)
        assert (answer.code, answer.message) == ("DEADLINE_EXCEEDED", "deadline exceeded")
        assert 0.045 < time.perf_counter() - started < 0.5
        await until(lambda: peer.resets == [(1, CANCEL)])
        assert peer.connections[0].h2.open_inbound_streams == 0
        peer.answer = echo
        assert (await ask(channel)).code == "OK"


async def test_a_server_that_goes_away_answers_what_it_has_taken_and_the_rest_is_unavailable() -> None:
    taken: list[int] = []
    async with serving(lambda connection, stream, _: taken.append(stream)) as peer, channel_to(peer) as channel:
        calls = [asyncio.create_task(ask(channel)) for _ in range(4)]
        await until(lambda: len(taken) == 4)
        old = peer.connections[0]
        old.raw(frame(frames.GOAWAY, 0, 0, (3).to_bytes(4, "big") + bytes(4)))
        assert await _codes(calls[2:]) == ["UNAVAILABLE"] * 2
        peer.answer = echo
        assert (await ask(channel)).code == "OK"
        assert len(peer.connections) == 2
        for stream in (1, 3):
            old.answer(stream, prefixed(b"late"))
        assert [(await call).messages for call in calls[:2]] == [[b"late"]] * 2
        await until(lambda: peer.open_connections == 1)
        assert old.transport.is_closing()


async def test_calls_that_wait_for_a_stream_do_not_wait_for_a_server_that_goes_away() -> None:
    async with serving(silence, {SettingCodes.MAX_CONCURRENT_STREAMS: 1}) as peer, channel_to(peer) as channel:
        await channel.connected()
        calls = [asyncio.create_task(ask(channel)) for _ in range(3)]
        await until(lambda: peer.connections[0].requests)
        connection = peer.connections[0]
        connection.raw(frame(frames.GOAWAY, 0, 0, (2**31 - 1).to_bytes(4, "big") + bytes(4)))
        assert await _codes(calls[1:]) == ["UNAVAILABLE"] * 2
        connection.answer(1, prefixed(b"last"))
        assert (await calls[0]).messages == [b"last"]
        await until(lambda: peer.open_connections == 0)


async def test_a_server_that_goes_away_when_idle_is_left() -> None:
    async with serving() as peer, channel_to(peer) as channel:
        await channel.connected()
        peer.connections[0].raw(frame(frames.GOAWAY, 0, 0, bytes(8)))
        await until(lambda: peer.open_connections == 0)
        assert (await ask(channel)).code == "OK"


async def test_when_stream_numbers_run_out_calls_go_over_a_new_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire_connection, "LAST_STREAM", 9)
    async with serving(settings={SettingCodes.MAX_CONCURRENT_STREAMS: 2}) as peer, channel_to(peer) as channel:
        await channel.connected()
        calls = [asyncio.create_task(ask(channel)) for _ in range(12)]
        assert set(await _codes(calls)) == {"OK"}
        for _ in range(8):
            assert (await ask(channel)).code == "OK"
        assert len(peer.connections) > 1
        await until(lambda: peer.open_connections <= 1)


async def test_ends_are_told_by_the_time_at_which_their_bytes_came() -> None:
    async with serving() as peer, channel_to(peer) as channel:
        await channel.connected()
        ended: list[tuple[int, int, int]] = []
        headers = channel.headers(METHOD, timeout_seconds=5)
        before = time.monotonic_ns()
        for _ in range(3):
            channel.start(
                headers,
                [b"x"],
                lambda call, code, at_ns: ended.append((code, at_ns, time.monotonic_ns())),
                timeout_seconds=5,
            )
        assert ended == []
        await until(lambda: len(ended) == 3)
        assert all(CODES[code] == "OK" and before < at_ns <= told_ns for code, at_ns, told_ns in ended)
