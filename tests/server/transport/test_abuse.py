"""Clients that mean no good, or do not care."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import logging
import os
import random
import time
from collections.abc import AsyncIterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.transport import abuse
from server.transport.call import Call
from server.transport.connection import Connection
from server.transport.frames import ConnectionFault
from tests.server.transport.script import EMPTY_SETTINGS, PREFACE, frame, goaway_for, headers, message, scripted
from tests.server.transport.serving import Serving, serving, until

CALM = 11
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PING, WINDOW_UPDATE, CONTINUATION = 0, 1, 2, 3, 4, 6, 8, 9
CANCEL = (8).to_bytes(4, "big")


@pytest.fixture
async def running() -> AsyncIterator[Serving]:
    async with serving() as server:
        yield server


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> AsyncIterator[None]:  # type: ignore[misc]
    """No abuse leads to a word in the log."""
    caplog.set_level(logging.WARNING)
    yield
    assert not caplog.records


async def echoes(running: Serving) -> bool:
    async with scripted(running.port) as client:
        stream = await client.ask(body=message(b"hi"))
        return (await client.trailers(stream))["grpc-status"] == "0"


def streams(count: int) -> list[int]:
    return [2 * number + 1 for number in range(count)]


def literal(name: str) -> bytes:
    """Returns the header block of a request, which leaves the dynamic table as it is."""
    return b"".join(
        b"\0" + bytes((len(key),)) + key.encode() + bytes((len(value),)) + value.encode()
        for key, value in headers(name)
    )


LITERAL = literal("Gated")


@pytest.mark.parametrize(
    "flood",
    [
        b"".join(frame(HEADERS, 4, each, LITERAL) + frame(RST_STREAM, 0, each, CANCEL) for each in streams(50_000)),
        b"".join(
            frame(HEADERS, 4, each, LITERAL) + frame(WINDOW_UPDATE, 0, each, bytes(4)) for each in streams(50_000)
        ),
        frame(SETTINGS, 0, 0, b"\0\4\0\0\1\0") * 10_000,
        frame(HEADERS, 4, 1, LITERAL) + frame(DATA, 0, 1, b"") * 50_000,
        frame(HEADERS, 4, 1, LITERAL) + frame(DATA, 8, 1, b"\0") * 1 + frame(DATA, 0, 1, b"") * 50_000,
        frame(PRIORITY, 0, 1, bytes(5)) * 50_000,
        frame(0xEE, 0, 0, b"") * 50_000,
        frame(PING, 1, 0, bytes(8)) * 50_000,
        frame(HEADERS, 0, 1, LITERAL) + frame(CONTINUATION, 0, 1, b"") * 1000,
        frame(HEADERS, 0, 1, LITERAL) + frame(CONTINUATION, 0, 1, bytes(16_384)) * 100,
        frame(HEADERS, 4, 1, LITERAL + b"\x40\x01a\x7f\xa1\x1e" + b"v" * 4000 + b"\xbe" * 100),
    ],
    ids=[
        "resets",
        "faults",
        "settings",
        "empty",
        "padded",
        "priority",
        "unknown",
        "acks",
        "continuations",
        "block",
        "bomb",
    ],
)
async def test_floods_end_their_connection_only(running: Serving, flood: bytes) -> None:
    assert (await goaway_for(running.port, flood))[0] == CALM
    assert await echoes(running)
    await until(lambda: not (running.server._host.connections or running.server._host.running))


async def test_pings_may_not_come_too_often(running: Serving) -> None:
    assert await goaway_for(running.port, frame(PING, 0, 0, bytes(8)) * 4) == (CALM, b"too_many_pings")


def test_pings_every_ten_seconds_are_fine() -> None:
    police = abuse.PingPolice()
    for number in range(1000):
        police.on_ping(number * 10.0, sent_since=False)
    for number in range(1000):
        police.on_ping(10_000 + number * 0.1, sent_since=True)
    for number in range(3):
        police.on_ping(20_000 + number * 0.1, sent_since=False)
    with pytest.raises(ConnectionFault):
        police.on_ping(20_000.3, sent_since=False)


def test_an_allowance_refills(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("server.transport.abuse.time.monotonic", lambda: now)
    allowance = abuse.Allowance("of them", at_once=10, per_second=1)
    for _ in range(100):
        now += 1.0
        allowance.use()
    now += 100
    used = itertools.count()
    with pytest.raises(ConnectionFault, match="too many of them"):  # noqa: PT012
        while True:
            next(used)
            allowance.use()
    assert 10 <= next(used) <= 22


async def test_a_client_that_never_reads_costs_little(running: Serving) -> None:
    """It asks for gigabytes with a window that would let them through; only what fits in buffers is made."""
    _, writer = await asyncio.open_connection("127.0.0.1", running.port, limit=1)
    writer.write(PREFACE + frame(SETTINGS, 0, 0, b"\0\4\x7f\xff\xff\xff") + frame(WINDOW_UPDATE, 0, 0, b"\x7f\xfe\0\0"))
    writer.write(frame(HEADERS, 4, 1, literal("Flood")) + frame(DATA, 1, 1, message(b"1000000")))
    await until(lambda: running.methods.written)
    await asyncio.sleep(0.5)
    written = running.methods.written
    await asyncio.sleep(0.3)
    assert running.methods.written == written < 30
    (connection,) = running.server._host.connections
    assert connection._transport.get_write_buffer_size() < 1_000_000
    assert await echoes(running)
    writer.transport.abort()
    await until(lambda: running.methods.cancelled == ["Flood"])


async def test_answers_that_nobody_takes_are_bounded(running: Serving) -> None:
    """Its window is closed, so that every answer waits: in the end its calls are refused."""
    reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
    writer.write(PREFACE + frame(SETTINGS, 0, 0, b"\0\4\0\0\0\0"))
    echo = literal("Echo")
    for each in streams(2000):
        writer.write(frame(HEADERS, 4, each, echo) + frame(DATA, 1, each, message(bytes(16_000))))
        await writer.drain()
        while reader._buffer and await reader.read(65_536):  # type: ignore[attr-defined]
            pass
    await asyncio.sleep(0.2)
    (connection,) = running.server._host.connections
    assert 16_000_000 < connection.outbox.waiting_bytes < 18_000_000
    writer.transport.abort()
    await until(lambda: not running.server._host.connections)
    assert connection.outbox.waiting_bytes == 0


async def test_windows_that_open_byte_by_byte_cost_no_more_for_many_calls() -> None:
    async with serving(max_concurrent_streams=10_000) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        writer.write(PREFACE + frame(SETTINGS, 0, 0, b"\0\4\0\0\0\0"))
        for each in streams(10_000):
            writer.write(frame(HEADERS, 4, each, literal("Echo")) + frame(DATA, 1, each, message(b"")))
        await until(lambda: len(running.methods.contexts) == 10_000)
        started = time.process_time()
        for _ in range(5):
            writer.write(b"".join(frame(WINDOW_UPDATE, 0, each, b"\0\0\0\1") for each in streams(10_000)))
            await writer.drain()
            await reader.read(2**20)
        (connection,) = running.server._host.connections
        while connection.calls:
            await asyncio.wait_for(reader.read(2**20), 5)
        assert time.process_time() - started < 10
        assert connection.outbox.waiting_bytes == 0
        writer.transport.abort()


async def test_who_reads_nothing_for_long_is_sent_away(running: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.transport.lifetime.STALL_SECONDS", 0.2)
    _, writer = await asyncio.open_connection("127.0.0.1", running.port, limit=1)
    writer.write(PREFACE + frame(SETTINGS, 0, 0, b"\0\4\x7f\xff\xff\xff") + frame(WINDOW_UPDATE, 0, 0, b"\x7f\xfe\0\0"))
    writer.write(frame(HEADERS, 4, 1, literal("Flood")) + frame(DATA, 1, 1, message(b"1000000")))
    await until(lambda: running.methods.cancelled == ["Flood"])
    await until(lambda: not running.server._host.connections)
    writer.transport.abort()


async def test_requests_that_never_end_are_bounded(running: Serving) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
    writer.write(PREFACE + EMPTY_SETTINGS)
    opened = b"".join(frame(HEADERS, 4, each, LITERAL) for each in streams(2000))
    writer.write(opened)
    half = b"\0\0\2\0\0"
    for each in streams(2000):
        writer.write(frame(DATA, 0, each, half + bytes(16_000)) + frame(DATA, 0, each, bytes(16_000)) * 3)
        await writer.drain()
        while reader._buffer and await reader.read(65_536):  # type: ignore[attr-defined]
            pass
    (connection,) = running.server._host.connections
    assert 60_000_000 < connection.held_bytes <= 64 * 1024 * 1024 + 20_000
    writer.transport.abort()
    await until(lambda: not running.server._host.connections)
    assert connection.held_bytes == 0


async def test_connections_that_come_and_go_leave_nothing(running: Serving) -> None:
    async def come_and_go(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        said = [b"", PREFACE, PREFACE + EMPTY_SETTINGS, PREFACE + EMPTY_SETTINGS + frame(HEADERS, 4, 1, LITERAL)]
        said.append(said[-1] + frame(DATA, 1, 1, message(b"")))
        writer.write(said[number % len(said)])
        if number % 3:
            await writer.drain()
            await reader.read(1)
        writer.transport.abort()

    await asyncio.gather(*(come_and_go(number) for number in range(100)))
    await until(lambda: not running.server._host.connections)
    running.methods.contexts.clear()
    before = _count()
    for _ in range(20):
        await asyncio.gather(*(come_and_go(number) for number in range(100)))
    await until(lambda: not (running.server._host.connections or running.server._host.running))
    running.methods.contexts.clear()
    after = _count()
    assert after[:3] == before[:3]
    assert after[3] <= before[3] + 2


def _count() -> tuple[int, int, int, int]:
    gc.collect()
    kinds = [type(each) for each in gc.get_objects()]
    return len(asyncio.all_tasks()), len(os.listdir("/proc/self/fd")), kinds.count(Connection), kinds.count(Call)  # noqa: PTH208


frames_of_any_kind = st.lists(
    st.tuples(st.integers(0, 10), st.integers(0, 255), st.integers(0, 8), st.binary(max_size=40)), max_size=15
).map(lambda each: b"".join(frame(*one) for one in each))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(st.binary(max_size=100), frames_of_any_kind), min_size=1, max_size=20), st.integers(0, 2**32))
def test_garbage_is_taken_in_silence(garbage: list[bytes], seed: int) -> None:
    """Each piece goes to a connection of its own, behind a good beginning or not; another one is served all along."""

    async def run() -> None:
        choose = random.Random(seed)
        loop = asyncio.get_running_loop()
        problems: list[object] = []
        loop.set_exception_handler(lambda _, context: problems.append(context))
        async with serving() as running:
            for piece in garbage:
                _, writer = await asyncio.open_connection("127.0.0.1", running.port)
                good = PREFACE + EMPTY_SETTINGS + frame(HEADERS, 4, 1, LITERAL)
                writer.write(good[: choose.choice((0, 24, 33, len(good)))] + piece)
                with contextlib.suppress(ConnectionError):
                    await writer.drain()
                writer.close()
            assert await echoes(running)
        assert not problems

    asyncio.run(run())
