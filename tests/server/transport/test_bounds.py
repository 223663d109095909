"""What a client can make of a few bytes: answers, memory, CPU."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Iterator
from typing import Any

import h2.events
import h2.settings
import pytest

from server.transport import call, request
from server.transport.connection import Connection
from server.transport.outbox import LARGEST_BUFFER_BYTES
from tests.server.transport.script import (
    EMPTY_SETTINGS,
    PREFACE,
    Script,
    frame,
    goaway_for,
    headers,
    message,
    scripted,
)
from tests.server.transport.serving import SERVICE, Serving, serving, until

DATA, HEADERS, RST_STREAM, PING, GOAWAY, CALM = 0, 1, 3, 6, 7, 11
NEWEST = b"\xbe"
"""Refers to the newest entry of the dynamic table."""


@pytest.fixture
async def running() -> AsyncIterator[Serving]:
    async with serving() as server:
        yield server


@pytest.fixture
async def client(running: Serving) -> AsyncIterator[Script]:
    async with scripted(running.port) as script:
        yield script


class Pipe(asyncio.Transport):
    """A transport whose other end reads only when the test says so."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self.protocol = protocol
        self.waiting = bytearray()
        self.most_bytes = 0
        self.paused = False
        self.closing = False

    def write(self, data: Any) -> None:
        self.waiting += data
        self.most_bytes = max(self.most_bytes, len(self.waiting))
        if len(self.waiting) > LARGEST_BUFFER_BYTES and not self.paused:
            self.paused = True
            self.protocol.pause_writing()

    def read(self) -> bytes:
        data = bytes(self.waiting)
        self.waiting.clear()
        if self.paused:
            self.paused = False
            self.protocol.resume_writing()
        return data

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        assert high == LARGEST_BUFFER_BYTES

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    abort = close


def piped(running: Serving) -> tuple[Connection, Pipe]:
    connection = Connection(running.server._host)
    pipe = Pipe(connection)
    connection.connection_made(pipe)
    return connection, pipe


def field(name: bytes, value: bytes, first: bytes = b"\0") -> bytes:
    """Returns a literal; `first` of `@` has it indexed."""

    def length(text: bytes) -> bytes:
        if len(text) < 127:
            return bytes((len(text),))
        rest = len(text) - 127
        return bytes((127, rest % 128 + 128, rest // 128))

    return first + length(name) + name + length(value) + value


def request_block(**more: str) -> bytes:
    return b"".join(field(name.encode(), value.encode()) for name, value in headers(**more))


def frames_of(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yields kind, stream and payload."""
    while data:
        end = 9 + int.from_bytes(data[:3], "big")
        yield data[3], int.from_bytes(data[5:9], "big"), data[9:end]
        data = data[end:]


async def answer(running: Serving, connection: Connection, pipe: Pipe, stream: int, block: bytes) -> bytes:
    """Returns what a call of a block with an empty message is answered."""
    connection.data_received(frame(HEADERS, 4, stream, block) + frame(DATA, 1, stream, message(b"")))
    await until(lambda: not running.server._host.running)
    await asyncio.sleep(0)
    return pipe.read()


async def test_values_that_commas_join_are_counted(running: Serving) -> None:
    connection, pipe = piped(running)
    connection.data_received(PREFACE + EMPTY_SETTINGS)
    commas = field(b"x-bin", b"," * 3700, b"@") + NEWEST * 2
    assert b"grpc-status\x018" in await answer(running, connection, pipe, 1, request_block() + commas)
    few = field(b"x-bin", b"AA," * 300)
    assert b"grpc-status\x010" in await answer(running, connection, pipe, 3, request_block() + few)
    assert len(running.methods.contexts[0].invocation_metadata()) == 301
    connection.connection_lost(None)


async def test_answers_do_not_repeat_what_the_client_says(client: Script) -> None:
    stream = await client.ask(headers(path="/secret.Service/Method"), message(b""))
    assert "secret" not in (await client.trailers(stream))["grpc-message"]
    stream = await client.ask(headers(grpc_encoding="secret"), message(gzip.compress(b""), 1))
    assert "secret" not in (await client.trailers(stream))["grpc-message"]


async def test_what_has_been_read_waits_while_the_client_does_not_read(running: Serving) -> None:
    connection, pipe = piped(running)
    block = request_block(path="/no/method")
    count = 20_000
    asked = b"".join(frame(HEADERS, 5, 2 * each + 1, block) for each in range(count))
    connection.data_received(PREFACE + EMPTY_SETTINGS + asked)
    connection.data_received(frame(PING, 0, 0, b"the last"))
    assert pipe.most_bytes < 3 * LARGEST_BUFFER_BYTES
    answers = b""
    for _ in range(100):
        answers += pipe.read()
        await asyncio.sleep(0)
    seen = list(frames_of(answers))
    assert [stream for kind, stream, _ in seen if kind == HEADERS] == [2 * each + 1 for each in range(count)]
    assert seen[-1] == (PING, 0, b"the last")
    assert pipe.most_bytes < 3 * LARGEST_BUFFER_BYTES
    connection.connection_lost(None)


async def test_headers_of_open_calls_are_held(running: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.transport.connection.LARGEST_HELD_BYTES", 100_000)
    connection, pipe = piped(running)
    block = request_block(path=f"/{SERVICE}/Trickle")
    large = frame(HEADERS, 4, 1, block + field(b"x-large", b"v" * 4000, b"@"))
    more = b"".join(frame(HEADERS, 4, 2 * each + 1, block + NEWEST * 3) for each in range(1, 100))
    connection.data_received(PREFACE + EMPTY_SETTINGS + large + more)
    assert len(connection.calls) < 12
    assert 100_000 < connection.held_bytes < 120_000
    refused = {stream for kind, stream, _ in frames_of(pipe.read()) if kind == RST_STREAM}
    assert len(refused) == 100 - len(connection.calls)
    connection.connection_lost(None)
    assert connection.held_bytes == 0
    assert call.LARGEST_HELD_BYTES == 64 * 1024 * 1024


async def test_the_client_is_told_how_many_calls_it_may_make(client: Script) -> None:
    await client.wait(h2.events.RemoteSettingsChanged)
    assert client.h2.remote_settings[h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS] == 4000


async def test_decoding_stops_soon_behind_the_limit(running: Serving) -> None:
    commas = field(b"x-large", b"v" * 4000, b"@") + NEWEST * 6
    assert (await goaway_for(running.port, frame(HEADERS, 4, 1, request_block() + commas)))[0] == CALM


async def test_long_names_are_not_kept() -> None:
    fields = [(name.encode(), value.encode()) for name, value in headers()]
    request.read_request(fields)
    before = request._kind.cache_info().currsize
    for number in range(10):
        assert request.read_request([*fields, (b"n" * 5000 + b"%d" % number, b"")]).metadata
    assert request._kind.cache_info().currsize == before


async def test_the_last_stream_never_grows(running: Serving) -> None:
    connection, pipe = piped(running)
    block = request_block(path=f"/{SERVICE}/Gated")
    connection.data_received(PREFACE + EMPTY_SETTINGS + frame(HEADERS, 4, 1, block))
    connection.drain()
    connection.say_last_stream()
    connection.data_received(frame(HEADERS, 4, 3, block) + frame(DATA, 0, 0, b"a fault"))
    said = [int.from_bytes(payload[:4], "big") for kind, _, payload in frames_of(pipe.read()) if kind == GOAWAY]
    assert said == [2**31 - 1, 1, 1]
    connection.connection_lost(None)


async def test_a_connection_that_is_made_after_the_stop_is_told_to_go() -> None:
    async with serving() as running:
        await running.server.stop(0)
        connection, pipe = piped(running)
        await asyncio.sleep(0)
        assert GOAWAY in [kind for kind, _, _ in frames_of(pipe.read())]
        await until(lambda: pipe.closing)
        connection.connection_lost(None)


async def test_blanks_around_values_are_stripped(running: Serving) -> None:
    connection, pipe = piped(running)
    connection.data_received(PREFACE + EMPTY_SETTINGS)
    more = field(b"authorization", b"Bearer ") + field(b"x-tab", b"\t a b\t ") + field(b"x-blank", b" ")
    assert b"grpc-status\x010" in await answer(running, connection, pipe, 1, request_block() + more)
    seen = dict(running.methods.contexts[0].invocation_metadata())
    assert seen == {"authorization": "Bearer", "x-tab": "a b", "x-blank": ""}
    connection.connection_lost(None)
