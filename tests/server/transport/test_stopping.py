"""The end: of connections by their age or silence, and of the server."""

from __future__ import annotations

import asyncio
import contextlib

import grpc
import h2.events
import pytest

from server.transport.server import Server
from tests.server.transport.script import EMPTY_SETTINGS, PREFACE, headers, message, scripted
from tests.server.transport.serving import SERVICE, insecure_channel, serving, until

LAST_STREAM = 2**31 - 1


async def test_stopping_lets_calls_finish() -> None:
    async with serving() as running, insecure_channel(running.address) as channel:
        call = channel.unary_unary(f"/{SERVICE}/Gated")(b"hi")
        await until(lambda: running.methods.contexts)
        stopping = asyncio.create_task(running.server.stop(5))
        await asyncio.sleep(0.3)
        assert not stopping.done()
        running.methods.gate.set()
        assert await call == b"hi"
        await asyncio.wait_for(stopping, 2)


async def test_stopping_ends_what_takes_longer_than_the_grace() -> None:
    async with serving() as running, insecure_channel(running.address) as channel:
        call = channel.unary_unary(f"/{SERVICE}/Gated")(b"hi")
        await until(lambda: running.methods.contexts)
        await running.server.stop(0.1)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert running.methods.cancelled == ["Gated"]


async def test_stopping_says_goodbye_twice() -> None:
    async with serving() as running, scripted(running.port) as client:
        first = await client.ask(headers("Gated"), message(b""))
        await until(lambda: running.methods.contexts)
        stopping = asyncio.create_task(running.server.stop(5))
        soon = await client.wait(h2.events.ConnectionTerminated)
        assert (soon.last_stream_id, soon.error_code) == (LAST_STREAM, 0)
        client.h2.state_machine.state = h2.connection.ConnectionState.CLIENT_OPEN
        second = await client.ask(body=message(b"in between"))
        assert (await client.trailers(second))["grpc-status"] == "0"
        client.h2.state_machine.state = h2.connection.ConnectionState.CLIENT_OPEN
        last = await client.wait(h2.events.ConnectionTerminated)
        assert last.last_stream_id == second
        running.methods.gate.set()
        client.h2.state_machine.state = h2.connection.ConnectionState.CLIENT_OPEN
        assert (await client.trailers(first))["grpc-status"] == "0"
        await client.until_closed()
        await stopping


async def test_stopping_frees_the_port() -> None:
    async with serving() as running:
        other = Server(max_message_bytes=1)
        with pytest.raises(OSError, match="address already in use"):
            await other.listen("127.0.0.1", running.port)
        await running.server.stop(0)
        assert await other.listen("127.0.0.1", running.port) == running.port
        await other.stop(0)


async def test_an_old_connection_is_replaced_without_a_failed_call() -> None:
    async with (
        serving(max_connection_age_seconds=0.2, max_connection_age_grace_seconds=5) as running,
        insecure_channel(running.address) as channel,
    ):
        peers = set()
        for _ in range(100):
            peers.add(await channel.unary_unary(f"/{SERVICE}/Metadata")(b"", timeout=5))
            await asyncio.sleep(0.01)
        assert len(peers) > 2


async def test_a_call_on_an_old_connection_ends_with_the_grace() -> None:
    async with (
        serving(max_connection_age_seconds=0.1, max_connection_age_grace_seconds=0.2) as running,
        insecure_channel(running.address) as channel,
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary(f"/{SERVICE}/Gated")(b"", timeout=5)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        await until(lambda: running.methods.cancelled == ["Gated"])


@pytest.mark.parametrize("said", [b"", PREFACE[:10], PREFACE, PREFACE + EMPTY_SETTINGS[:5]])
async def test_who_does_not_introduce_itself_is_sent_away(said: bytes) -> None:
    async with serving(greeting_seconds=0.2) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        writer.write(said)
        async with asyncio.timeout(5):
            with contextlib.suppress(ConnectionError):
                await reader.read()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        await until(lambda: not running.server._host.connections)


async def test_a_silent_client_is_asked_and_kept_if_it_answers() -> None:
    async with (
        serving(keepalive_seconds=0.1, keepalive_timeout_seconds=0.2) as running,
        scripted(running.port) as client,
    ):
        await client.wait(h2.events.PingReceived)
        await client.wait(h2.events.PingReceived)
        assert len(running.server._host.connections) == 1


async def test_a_dead_client_is_given_up() -> None:
    async with serving(keepalive_seconds=0.1, keepalive_timeout_seconds=0.1) as running, scripted(running.port):
        await until(lambda: running.server._host.connections)
        await until(lambda: not running.server._host.connections)
