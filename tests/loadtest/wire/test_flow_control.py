from __future__ import annotations

import asyncio
import time

import pytest
from h2.settings import SettingCodes

from loadtest.wire import connection as wire_connection
from loadtest.wire import frames
from loadtest.wire.channel import Answer
from loadtest.wire.frames import frame
from tests.loadtest.wire.asking import ask, channel_to
from tests.loadtest.wire.peer import (
    CANCEL,
    HEADERS,
    OK,
    REFUSED_STREAM,
    PeerConnection,
    echo,
    prefixed,
    serving,
    silence,
    until,
)


async def test_padded_data_are_read_and_their_padding_counts_in_the_window() -> None:
    def answer(connection: PeerConnection, stream: int, body: bytes) -> None:
        connection.h2.send_headers(stream, HEADERS)
        for byte in prefixed(b"abc"):
            connection.h2.send_data(stream, bytes((byte,)), pad_length=255)
        connection.h2.send_headers(stream, OK, end_stream=True)

    async with serving(answer) as peer, channel_to(peer) as channel:
        assert await ask(channel) == Answer("OK", "", [b"abc"])


@pytest.mark.parametrize("window", [1, 100, 20_000, 70_000])
async def test_large_requests_keep_to_the_server_s_window(window: int) -> None:
    size = 3_000 if window == 1 else 100_000
    async with serving(settings={SettingCodes.INITIAL_WINDOW_SIZE: window}) as peer, channel_to(peer) as channel:
        calls = [asyncio.create_task(ask(channel, bytes((number,)) * size)) for number in range(3)]
        for number, call in enumerate(calls):
            assert await call == Answer("OK", "", [bytes((number,)) * size])


async def test_a_request_goes_on_when_the_server_changes_its_window() -> None:
    async with serving(settings={SettingCodes.INITIAL_WINDOW_SIZE: 0}) as peer, channel_to(peer) as channel:
        call = asyncio.create_task(ask(channel, b"x" * 100_000))
        await until(lambda: peer.connections and peer.connections[0].requests)
        connection = peer.connections[0]
        for window in (1_000, 500, 100, 30_000):
            connection.change(SettingCodes.INITIAL_WINDOW_SIZE, window)
            await asyncio.sleep(0.005)
        assert (await call).messages == [b"x" * 100_000]
        assert (await ask(channel, b"y" * 100_000)).messages == [b"y" * 100_000]
        assert peer.acknowledged == 5


async def test_an_answer_before_the_end_of_the_request_ends_the_stream_on_both_sides() -> None:
    def refuse(connection: PeerConnection, stream: int, body: bytes) -> None:
        connection.error(stream, *HEADERS, ("grpc-status", "8"))

    settings = {SettingCodes.INITIAL_WINDOW_SIZE: 100, SettingCodes.MAX_CONCURRENT_STREAMS: 1}
    async with serving(refuse, settings, early=True) as peer, channel_to(peer) as channel:
        for stream in (1, 3, 5):
            assert (await ask(channel, b"x" * 100_000)).code == "RESOURCE_EXHAUSTED"
            await until(lambda: len(peer.resets) == (stream + 1) // 2)  # noqa: B023
            assert peer.resets[-1] == (stream, CANCEL)
        peer.early, peer.answer = False, echo
        assert (await ask(channel, b"x" * 1000)).code == "OK"


async def test_nothing_is_sent_on_a_stream_that_the_server_has_reset() -> None:
    def reset(connection: PeerConnection, stream: int, body: bytes) -> None:
        connection.h2.reset_stream(stream, REFUSED_STREAM)

    async with serving(reset, {SettingCodes.INITIAL_WINDOW_SIZE: 100}, early=True) as peer, channel_to(peer) as channel:
        assert (await ask(channel, b"x" * 100_000)).code == "UNAVAILABLE"
        peer.early, peer.answer = False, echo
        assert (await ask(channel, b"x" * 1000)).code == "OK"
        assert peer.resets == []


async def test_nothing_is_sent_on_a_stream_that_has_expired() -> None:
    settings = {SettingCodes.INITIAL_WINDOW_SIZE: 0, SettingCodes.MAX_CONCURRENT_STREAMS: 1}
    async with serving(settings=settings) as peer, channel_to(peer) as channel:
        await channel.connected()
        first = asyncio.create_task(ask(channel, b"x" * 1000, seconds=0.05))
        await asyncio.sleep(0)
        second = asyncio.create_task(ask(channel, b"y" * 1000, seconds=5))
        assert (await first).code == "DEADLINE_EXCEEDED"
        peer.connections[0].change(SettingCodes.INITIAL_WINDOW_SIZE, 5000)
        assert (await second).messages == [b"y" * 1000]
        assert peer.connections[0].requests[1] == []


async def test_an_answer_of_40_mb_comes_through_our_windows() -> None:
    body = bytes(40 * 1024 * 1024)
    started = time.perf_counter()
    async with (
        serving(lambda connection, stream, _: connection.answer(stream, prefixed(body))) as peer,
        channel_to(peer) as channel,
    ):
        (message,) = (await ask(channel, seconds=20)).messages
        assert message == body
    assert time.perf_counter() - started < 6


async def test_more_than_the_connection_s_window_comes_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire_connection, "CONNECTION_WINDOW_BYTES", 100_000)
    monkeypatch.setattr(wire_connection, "STREAM_WINDOW_BYTES", 50_000)
    body = bytes(300_000)
    async with (
        serving(lambda connection, stream, _: connection.answer(stream, prefixed(body))) as peer,
        channel_to(peer) as channel,
    ):
        calls = [asyncio.create_task(ask(channel)) for _ in range(5)]
        assert [(await call).messages == [body] for call in calls] == [True] * 5


async def test_what_comes_after_a_deadline_is_given_back_to_the_connection_s_window(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(wire_connection, "CONNECTION_WINDOW_BYTES", 200_000)
    unread = frame(frames.DATA, 0, 1, bytes(16_000)) * 12
    async with serving(silence) as peer, channel_to(peer) as channel:
        assert (await ask(channel, seconds=0.02)).code == "DEADLINE_EXCEEDED"
        await until(lambda: peer.resets)
        connection = peer.connections[0]
        before = connection.h2.outbound_flow_control_window
        connection.raw(unread)
        await until(lambda: connection.h2.outbound_flow_control_window > before)
        peer.answer = echo
        assert (await ask(channel)).code == "OK"
