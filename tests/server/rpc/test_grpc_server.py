"""Limits and compression of the configured gRPC server, on the loopback."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from server.errors import AddressError
from server.rpc.addresses import bind
from server.rpc.grpc_server import MAX_METADATA_BYTES, Methods, max_connections, new_server
from server.setting_types import Address
from server.settings import Settings
from tests.integration.raw_calls import connected, message, opened, received_until

ECHO = "/test.Echo/Echo"


class Echo(Methods):
    """Answers with the request."""

    def __init__(self) -> None:
        super().__init__()

        async def echo(request: bytes, context: Any) -> bytes:
            return request

        handler: Any = grpc.unary_unary_rpc_method_handler(echo)
        self.add_registered_method_handlers("test.Echo", {"Echo": handler})


@contextlib.asynccontextmanager
async def echoing(compress_answers: bool = False) -> AsyncIterator[str]:
    settings = Settings(bundle=Path(), catalogue=Path(), max_message_bytes=100_000, compress_answers=compress_answers)
    server = new_server(settings, Echo())
    address = Address("127.0.0.1", bind(server, [Address("127.0.0.1", 0)], None))
    await server.start()
    yield str(address)
    await server.stop(0)


async def call(address: str, request: bytes, **options: Any) -> bytes:
    async with grpc.aio.insecure_channel(address) as channel:
        echo: Any = channel.unary_unary(ECHO)
        answer: bytes = await echo(request, **options)
        return answer


@pytest.mark.parametrize("compress_answers", [True, False])
async def test_answers_are_compressed_for_clients_that_accept_it(compress_answers: bool) -> None:
    async with echoing(compress_answers) as address:
        accepting = await received_in_thread(address, opened(ECHO, grpc_accept_encoding="identity,deflate,gzip"))
        assert (b"gzip" in accepting.partition(b"grpc-encoding")[2][:10]) == compress_answers
        assert (len(accepting) < 2_000) == compress_answers
        for other in (opened(ECHO), opened(ECHO, grpc_accept_encoding="identity")):
            assert len(await received_in_thread(address, other)) > 15_000
        assert await call(address, bytes(15_000)) == bytes(15_000)


async def received_in_thread(address: str, data: bytes) -> bytes:
    def receive() -> bytes:
        with connected(address, data + message(bytes(15_000))) as client:
            return received_until(client, b"grpc-status")

    return await asyncio.to_thread(receive)


@pytest.mark.parametrize("compression", [grpc.Compression.Deflate, grpc.Compression.Gzip])
async def test_compressed_requests_are_bounded_by_their_decompressed_size(compression: grpc.Compression) -> None:
    async with echoing() as address:
        assert await call(address, bytes(15_000), compression=compression) == bytes(15_000)
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await call(address, bytes(10_000_000), compression=compression)
        assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_headers_above_the_limit_end_only_their_call() -> None:
    async with echoing() as address, grpc.aio.insecure_channel(address) as channel:
        echo: Any = channel.unary_unary(ECHO)
        for _ in range(3):
            assert await echo(b"before", metadata=[("a", "x" * (MAX_METADATA_BYTES - 1000))]) == b"before"
            large = [echo(b"", metadata=[("a", "x" * 40_000)]) for _ in range(5)]
            others = [echo(b"beside") for _ in range(20)]
            assert [await each for each in others] == [b"beside"] * 20
            assert {await each.code() for each in large} == {grpc.StatusCode.RESOURCE_EXHAUSTED}


async def test_an_address_in_use_is_an_error() -> None:
    async with echoing() as address:
        host, port = address.split(":")
        with pytest.raises(AddressError, match="in use"):
            bind(new_server(Settings(bundle=Path(), catalogue=Path()), Echo()), [Address(host, int(port))], None)


@pytest.mark.parametrize(("descriptors", "connections"), [(256, 156), (120, 60), (-1, 2**31 - 1)])
def test_connections_leave_file_descriptors_for_other_uses(
    descriptors: int, connections: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _: (descriptors, descriptors))
    assert max_connections() == connections
