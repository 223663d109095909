"""TLS, with certificates that change."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import grpc
import pytest

from tests.server.transport.certificates import Certificate, make_certificate
from tests.server.transport.serving import SERVICE, Serving, serving, until


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("ours"), "ours")


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("theirs"), "theirs")


async def echo(
    running: Serving, authority: Certificate, client: Certificate | None = None, message: bytes = b"hi"
) -> bytes:
    pair: dict[str, Any] = {}
    if client is not None:
        pair = {"private_key": client.key.read_bytes(), "certificate_chain": client.certificate.read_bytes()}
    credentials = grpc.ssl_channel_credentials(authority.certificate.read_bytes(), **pair)
    options = [("grpc.max_receive_message_length", -1)]
    async with grpc.aio.secure_channel(f"localhost:{running.port}", credentials, options=options) as channel:
        call: Any = channel.unary_unary(f"/{SERVICE}/Echo")
        answer: bytes = await call(message, timeout=5)
        return answer


async def test_calls_over_tls(ours: Certificate) -> None:
    async with serving(tls=ours.server_context) as running:
        large = bytes(3_000_000)
        assert await echo(running, ours, message=large) == large
        context = running.methods.contexts[0]
        assert context.auth_context() == {"transport_security_type": [b"ssl"]}
        assert context.peer_identities() is None


async def test_new_connections_get_the_certificates_of_the_moment(ours: Certificate, theirs: Certificate) -> None:
    current = ours
    async with serving(tls=lambda: current.server_context(clients=None)) as running:
        assert await echo(running, ours) == b"hi"
        current = theirs
        assert await echo(running, theirs) == b"hi"
        with pytest.raises(grpc.aio.AioRpcError):
            await echo(running, ours)


async def test_the_client_is_known_by_its_certificate(ours: Certificate, theirs: Certificate) -> None:
    async with serving(tls=lambda: ours.server_context(clients=theirs)) as running:
        assert await echo(running, ours, theirs) == b"hi"
        context = running.methods.contexts[0]
        assert list(context.peer_identities()) == [b"localhost", b"theirs"]
        assert context.auth_context()["x509_common_name"] == [b"theirs"]
        with pytest.raises(grpc.aio.AioRpcError):
            await echo(running, ours, ours)


async def test_certificates_that_cannot_be_read_end_only_new_connections(
    ours: Certificate, caplog: pytest.LogCaptureFixture
) -> None:
    broken = False

    def context() -> ssl.SSLContext:
        if broken:
            raise FileNotFoundError("no such certificate")
        return ours.server_context()

    async with serving(tls=context) as running:
        assert await echo(running, ours) == b"hi"
        broken = True
        with pytest.raises(grpc.aio.AioRpcError):
            await echo(running, ours)
        assert "no such certificate" in caplog.text
        broken = False
        assert await echo(running, ours) == b"hi"


async def test_who_never_finishes_the_handshake_is_sent_away(ours: Certificate) -> None:
    async with serving(tls=ours.server_context, greeting_seconds=0.2) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        async with asyncio.timeout(5):
            assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
        await until(lambda: not running.server._handshakes)


async def test_a_client_without_alpn_is_sent_away(ours: Certificate) -> None:
    async with serving(tls=ours.server_context) as running:
        plain = ssl.create_default_context(cafile=str(ours.certificate))
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", running.port, ssl=plain, server_hostname="localhost"
        )
        async with asyncio.timeout(5):
            assert await reader.read() == b""
        writer.close()
