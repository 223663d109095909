import asyncio
import contextlib
import gzip
import shutil
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import grpc
import pytest

import loadtest.channel
import loadtest.core.stream
from loadtest.channel import Channel
from loadtest.codes import CODES
from loadtest.connection_failure import reason_and_advice
from loadtest.core.call import Form
from loadtest.errors import AttackError
from loadtest.target import Target
from tests.integration.certificates import Authority

FORMS = [(client, server) for client in (False, True) for server in (False, True)]
LARGE = bytes(20 * 1024 * 1024)


class Service(grpc.GenericRpcHandler):
    """A service whose methods all take and return a stream; records the callers."""

    def __init__(self) -> None:
        self.peers: set[str] = set()
        self.metadata: list[dict[str, Any]] = []

    def service(self, handler_call_details: Any) -> Any:
        handler = getattr(self, handler_call_details.method.rpartition("/")[2], None)
        return handler and grpc.stream_stream_rpc_method_handler(handler)

    async def echo(self, requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        self.peers.add(context.peer())
        self.metadata.append(dict(context.invocation_metadata()))
        yield b"".join([request async for request in requests])

    async def refuse(self, requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "no room")
        yield b""

    async def count(self, requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        for number in range(3):
            yield b"%d" % number
        await context.abort(grpc.StatusCode.OUT_OF_RANGE, "더 없다")

    async def forever(self, requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        while True:
            yield b"x"
            await asyncio.sleep(0.02)

    async def repeat(self, requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        async for request in requests:
            yield request

    async def wait(self, requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        async for request in requests:
            await asyncio.sleep(float(request))
            yield request


@contextlib.asynccontextmanager
async def serving(
    service: Service, address: str = "127.0.0.1:0", credentials: grpc.ServerCredentials | None = None, **options: int
) -> AsyncIterator[tuple[Target, grpc.aio.Server]]:
    settings = {"max_receive_message_length": -1, "so_reuseport": 0, **options}
    server = grpc.aio.server(handlers=(service,), options=[(f"grpc.{name}", value) for name, value in settings.items()])
    port = server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
    await server.start()
    try:
        yield Target(address=address if address.startswith("unix:") else f"127.0.0.1:{port}"), server
    finally:
        await server.stop(None)


async def ask(channel: Channel, name: str, *messages: bytes, seconds: float = 5, **form: Any) -> tuple[str, str, Any]:
    answer = await channel.method(f"/test.Test/{name}", Form(**form))(messages, timeout_seconds=seconds)
    return CODES[answer.code], answer.message, list(answer.messages)


async def test_calls_of_every_form_carry_bytes_of_any_size() -> None:
    async with serving(Service()) as (target, _), Channel(target) as channel:
        for client, server in FORMS:
            form = {"client_streaming": client, "server_streaming": server}
            assert await ask(channel, "echo", b"x", seconds=20, **form) == ("OK", "", [b"x"])
            assert await ask(channel, "echo", LARGE, seconds=20, **form) == ("OK", "", [LARGE])
        assert await ask(channel, "echo", b"a", b"b", b"c", client_streaming=True) == ("OK", "", [b"abc"])
        calls = [ask(channel, "echo", b"%d" % number, seconds=20) for number in range(1000)]
        assert [answer for _, _, answer in await asyncio.gather(*calls)] == [[b"%d" % each] for each in range(1000)]


async def test_an_error_has_its_message_and_the_answers_before_it() -> None:
    async with serving(Service()) as (target, _), Channel(target) as channel:
        counted = await ask(channel, "count", b"", server_streaming=True)
        assert counted == ("OUT_OF_RANGE", "더 없다", [b"0", b"1", b"2"])
        assert (await ask(channel, "nothing", b""))[0] == "UNIMPLEMENTED"


async def test_a_stream_refused_while_sending_has_the_servers_status() -> None:
    async with serving(Service()) as (target, _), Channel(target) as channel:
        for client, server in FORMS:
            for _ in range(30):
                messages = [b"x" * 20] * (4 if client else 1)
                answer = await ask(channel, "refuse", *messages, client_streaming=client, server_streaming=server)
                assert answer == ("RESOURCE_EXHAUSTED", "no room", [])


@pytest.mark.parametrize("client", [False, True])
async def test_an_endless_stream_ends_after_its_time_without_an_error(
    client: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loadtest.core.stream, "END_SECONDS", 0.1)
    form = Form(client_streaming=client, server_streaming=True, seconds=0.3)
    async with serving(Service()) as (target, _), Channel(target) as channel:
        started = time.monotonic_ns()
        answer = await channel.method("/test.Test/forever", form)([b""], timeout_seconds=5)
        assert (answer.code, answer.message) == (0, "")
        assert answer.messages
        assert len(answer.times_ns) == len(answer.messages)
        assert list(answer.times_ns) == sorted(answer.times_ns)
        assert 0.3 <= (answer.done_ns - started) / 1e9 < 2


async def test_a_stream_with_a_time_stays_open_until_then_and_ends_by_itself() -> None:
    form = Form(client_streaming=True, server_streaming=True, seconds=0.3)
    async with serving(Service()) as (target, _), Channel(target) as channel:
        started = time.monotonic_ns()
        answer = await channel.method("/test.Test/repeat", form)([b"a", b"b"], timeout_seconds=5)
        assert (answer.code, answer.messages) == (0, [b"a", b"b"])
        assert 0.3 <= (answer.done_ns - started) / 1e9 < 1.3


async def test_messages_are_sent_at_their_interval() -> None:
    form = Form(client_streaming=True, server_streaming=True, interval_seconds=0.1)
    async with serving(Service()) as (target, _), Channel(target) as channel:
        answer = await channel.method("/test.Test/repeat", form)([b"%d" % each for each in range(5)], timeout_seconds=5)
        assert answer.messages == [b"0", b"1", b"2", b"3", b"4"]
        assert 0.35 < (answer.times_ns[-1] - answer.times_ns[0]) / 1e9 < 2


async def test_an_error_of_the_server_is_an_error_in_a_stream_with_a_time() -> None:
    form = Form(client_streaming=True, server_streaming=True, seconds=0.3)
    async with serving(Service()) as (target, _), Channel(target) as channel:
        for name, code in (("count", "OUT_OF_RANGE"), ("refuse", "RESOURCE_EXHAUSTED")):
            answer = await channel.method(f"/test.Test/{name}", form)([b""], timeout_seconds=5)
            assert CODES[answer.code] == code


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")
async def test_mutual_tls_checks_client_and_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loadtest.channel, "CONNECT_SECONDS", 0.5)
    authority = Authority(tmp_path, "authority")
    (certificate, key), client = authority.signed("server"), authority.signed("client")
    pair, root = (key.read_bytes(), certificate.read_bytes()), authority.pair.certificate
    credentials = grpc.ssl_server_credentials([pair], root.read_bytes(), require_client_auth=True)
    async with serving(Service(), credentials=credentials) as (target, _):
        stranger = replace(target, ca_file=root)
        known = replace(stranger, certificate_file=client.certificate, key_file=client.key)
        async with Channel(replace(known, authority="localhost")) as channel:
            assert await ask(channel, "echo", b"x") == ("OK", "", [b"x"])
        other_name = replace(known, authority="another.example")
        for refused, says in ((stranger, "does not answer"), (other_name, "with --authority NAME$")):
            async with Channel(refused) as channel:
                with pytest.raises(AttackError, match=says):
                    await channel.connected()


async def test_tls_to_a_server_without_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loadtest.channel, "CONNECT_SECONDS", 0.5)
    async with serving(Service()) as (target, _), Channel(replace(target, tls=True)) as channel:
        with pytest.raises(AttackError, match=r"the server does not speak TLS: remove the flags for it$"):
            await channel.connected()


def test_the_reason_of_a_failed_connection_is_short() -> None:
    refused = "failed to connect to all addresses; last error: UNKNOWN: ipv6:%5B::1%5D:5: Connection refused"
    assert reason_and_advice(refused, tls=False) == "(ipv6:[::1]:5: Connection refused)"


async def test_metadata_is_sent() -> None:
    service = Service()
    secrets: dict[str, Any] = {"headers": (("X-Up.per_1", "~!"),), "token": "a b"}
    async with serving(service) as (target, _), Channel(replace(target, **secrets)) as channel:
        await ask(channel, "echo", b"x")
    [metadata] = service.metadata
    assert (metadata["authorization"], metadata["x-up.per_1"]) == ("Bearer a b", "~!")
    assert metadata["user-agent"].startswith("chaja-loadtest ")


async def test_a_unix_socket_is_called(tmp_path: Path) -> None:
    service, path = Service(), f"{tmp_path}/소켓"
    async with serving(service, f"unix:{quote(path)}"), Channel(Target(address=f"unix:{path}")) as channel:
        assert (await ask(channel, "echo", b"x"))[0] == "OK"


async def test_requests_and_answers_are_compressed() -> None:
    requests: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(frame(SETTINGS, 0, stream=0))
        await reader.readexactly(PREFACE_BYTES)
        kind = -1
        while kind != DATA:
            head = await reader.readexactly(9)
            kind, payload = head[3], await reader.readexactly(int.from_bytes(head[:3], "big"))
        requests.append(payload)
        encoding = b"\0\x0dgrpc-encoding\x04gzip"
        writer.write(frame(HEADERS, 4, b"\x88\x0f\x10\x10application/grpc" + encoding) + frame(DATA, 0, payload) + END)
        await reader.read()
        writer.close()

    for compression, open_ in (("gzip", gzip.decompress), ("", None)):
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        target = Target(address=f"127.0.0.1:{server.sockets[0].getsockname()[1]}", compression=compression)
        async with Channel(target) as channel:
            assert await ask(channel, "echo", bytes(500)) == ("OK", "", [bytes(500)])
        server.close()
        await server.wait_closed()
        await asyncio.sleep(0.05)
        request = requests.pop()
        assert request[0] == bool(compression)
        assert (open_(request[5:]) if open_ else request[5:]) == bytes(500)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")
async def test_a_certificate_without_an_authority_or_the_right_name_is_trusted_on_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loadtest.channel, "CONNECT_SECONDS", 0.5)
    authority = Authority(tmp_path, "authority")
    for certificate, key in (authority.pair, authority.signed("server")):  # Self-signed, and for localhost.
        credentials = grpc.ssl_server_credentials([(key.read_bytes(), certificate.read_bytes())])
        async with serving(Service(), credentials=credentials) as (target, _):
            async with Channel(replace(target, insecure_skip_verify=True)) as channel:
                assert await ask(channel, "echo", b"x") == ("OK", "", [b"x"])
            for tls, advice in ((True, "with --ca FILE, or any"), (False, "add --tls or --ca FILE$")):
                async with Channel(replace(target, tls=tls)) as channel:
                    with pytest.raises(AttackError, match=f"does not answer: .*{advice}"):
                        await channel.connected()
    expired = authority.signed("expired", days=-1)
    credentials = grpc.ssl_server_credentials([(expired.key.read_bytes(), expired.certificate.read_bytes())])
    async with serving(Service(), credentials=credentials) as (target, _):
        with pytest.raises(AttackError, match=r"cannot use the certificate of .*: certificate has expired"):
            async with Channel(replace(target, insecure_skip_verify=True)):
                pass
    async with serving(Service()) as (target, _):
        with pytest.raises(AttackError, match="does not speak TLS"):
            async with Channel(replace(target, insecure_skip_verify=True)):
                pass


async def test_each_channel_has_its_own_connection() -> None:
    service = Service()
    async with serving(service) as (target, _), Channel(target) as one, Channel(target) as two:
        for channel in (one, two, one, two):
            assert (await ask(channel, "echo", b"x"))[0] == "OK"
    assert len(service.peers) == 2


async def test_calls_above_the_servers_stream_limit_wait() -> None:
    async with serving(Service(), max_concurrent_streams=1) as (target, _), Channel(target) as channel:
        answers = await asyncio.gather(*(ask(channel, "wait", b"0.01") for _ in range(20)))
        assert {code for code, *_ in answers} == {"OK"}


async def test_calls_fail_at_once_with_the_reason_where_nothing_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loadtest.channel, "CONNECT_SECONDS", 0.5)
    async with Channel(Target(address="127.0.0.1:1")) as channel:
        with pytest.raises(
            AttackError, match=r"does not answer: no connection within 0\.5 seconds .*Connection refused"
        ):
            await channel.connected()
        started = time.perf_counter()
        for _ in range(3):
            code, message, _ = await ask(channel, "echo", b"x")
            assert code == "UNAVAILABLE"
            assert "Connection refused" in message
        assert time.perf_counter() - started < 1


async def test_connecting_to_a_silent_server_times_out_and_deadlines_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loadtest.channel, "CONNECT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        async with Channel(Target(address=f"127.0.0.1:{silent.getsockname()[1]}")) as channel:
            with pytest.raises(AttackError, match=r"no connection within 0\.2 seconds"):
                await channel.connected()
            async with asyncio.timeout(2):
                assert (await ask(channel, "echo", b"x", seconds=0.05))[0] == "DEADLINE_EXCEEDED"


async def test_a_lost_server_is_unavailable_until_it_is_back() -> None:
    async with serving(Service()) as (target, server), Channel(target) as channel:
        waiting = asyncio.create_task(ask(channel, "wait", b"30", seconds=60))
        assert (await ask(channel, "echo", b"x"))[0] == "OK"
        await server.stop(None)
        assert (await waiting)[0] == "UNAVAILABLE"
        assert (await ask(channel, "echo", b"x"))[0] == "UNAVAILABLE"
        async with serving(Service(), target.address):
            started = time.perf_counter()
            while (await ask(channel, "echo", b"x"))[0] != "OK":
                await asyncio.sleep(0.01)
            assert time.perf_counter() - started < 3


async def test_a_server_answers_calls_in_flight_after_goaway() -> None:
    async with serving(Service()) as (target, server), Channel(target) as channel:
        assert (await ask(channel, "echo", b"x"))[0] == "OK"
        begun = asyncio.create_task(ask(channel, "wait", b"0.3"))
        await asyncio.sleep(0.1)
        leaving = asyncio.create_task(server.stop(5))
        await asyncio.sleep(0.1)
        assert (await ask(channel, "echo", b"x"))[0] == "UNAVAILABLE"
        assert await begun == ("OK", "", [b"0.3"])
        await leaving


async def test_closing_cancels_the_calls_in_flight() -> None:
    async with serving(Service()) as (target, _):
        async with Channel(target) as channel:
            calls = [asyncio.create_task(ask(channel, "wait", b"30", seconds=60)) for _ in range(3)]
            assert (await ask(channel, "echo", b"x"))[0] == "OK"
        for code, message, messages in await asyncio.gather(*calls):
            assert (code, messages) == ("CANCELLED", [])
            assert "the channel was closed" in message


def frame(kind: int, flags: int, payload: bytes = b"", stream: int = 1) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


DATA, HEADERS, RST_STREAM, SETTINGS = 0, 1, 3, 4
PREFACE_BYTES = 24
BEGIN = frame(HEADERS, 4, b"\x88\x0f\x10\x10application/grpc")  # HPACK: :status 200, content-type.
END = frame(HEADERS, 5, b"\0\x0bgrpc-status\x010")


@pytest.mark.parametrize(
    ("said", "code", "message"),
    [
        (BEGIN + END, "INTERNAL", "the answer has no message"),
        (BEGIN + frame(DATA, 0, b"\1\0\0\0\1x") + END, "INTERNAL", "Compression bit set"),
        (BEGIN + frame(DATA, 1, bytes(5)), "UNKNOWN", "END_STREAM"),
        (frame(HEADERS, 5, b"\0\x07:status\x03503"), "UNAVAILABLE", "status: 503"),
        (frame(RST_STREAM, 0, (11).to_bytes(4, "big")), "RESOURCE_EXHAUSTED", "error code 11"),
    ],
)
async def test_an_answer_that_is_not_grpc_has_a_code_and_a_reason(said: bytes, code: str, message: str) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(frame(SETTINGS, 0, stream=0))
        await reader.readuntil(b"/test.Test/echo")
        writer.write(said)
        await reader.read()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with Channel(Target(address=f"127.0.0.1:{server.sockets[0].getsockname()[1]}")) as channel:
        found, why, _ = await ask(channel, "echo", b"x")
    server.close()
    await server.wait_closed()
    await asyncio.sleep(0.05)
    assert found == code
    assert message in why
