import asyncio
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from hyperframe.frame import DataFrame
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import chaja
from chaja.v1 import BatchSearchRequest, EncodeRequest, SearchRequest
from sample.server_process import REPOSITORY, ServerProcess, running_server
from server.rpc.server import METHODS
from tests.conftest import SAMPLE_CATALOGUE, server_flags
from tests.integration.raw_calls import PREFACE, connected, greeting, opened, raw_frame, received_until
from tests.integration.vitals import MEGABYTE, open_sockets, resident_bytes, wait_for_open_sockets

SEARCH = "/chaja.v1.SearchService/Search"
ENDLESS = "WatchChanges"
PATHS = [f"/{method.service}/{method.name}" for method in METHODS if method.name not in ("Reload", ENDLESS)]
PATHS += ["/grpc.health.v1.Health/Check", "/no.such.Service/Method"]
STREAMS = {f"/{method.service}/{method.name}" for method in METHODS if method.kind == "bidi_stream"}
DOCUMENTED = {
    grpc.StatusCode.OK,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.FAILED_PRECONDITION,
}
OF_OTHERS = {"/grpc.health.v1.Health/Check": grpc.StatusCode.NOT_FOUND, PATHS[-1]: grpc.StatusCode.UNIMPLEMENTED}
MANY = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), database=None)
NUMBERS = st.integers(-(2**31), 2**31 - 1) | st.integers(0, 100)
SEARCHES = st.builds(
    SearchRequest,
    query=st.text(),
    limit=NUMBERS,
    language_code=st.text(max_size=5),
    mode=NUMBERS | st.integers(0, 3),
    min_score=st.none() | st.floats(width=32),
    fusion=NUMBERS | st.integers(0, 2),
)
BATCHES = st.builds(BatchSearchRequest, requests=st.lists(SEARCHES, max_size=12))
TEXTS = st.lists(st.text(), max_size=12)
ENCODES = st.builds(EncodeRequest, texts=TEXTS, text_kind=NUMBERS | st.integers(0, 2), truncate=st.booleans())


@pytest.fixture(scope="module")
def server(tiny_bundle: Path) -> Iterator[ServerProcess]:
    with running_server(server_flags(tiny_bundle, SAMPLE_CATALOGUE)) as server:
        yield server
    assert not [line for line in server.lines if "Traceback" in line or " ERROR " in line]


@pytest.fixture(scope="module")
def channel(server: ServerProcess) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(server.address) as channel:
        yield channel


@pytest.fixture(autouse=True)
def others_are_served(server: ServerProcess) -> Iterator[None]:
    yield
    with chaja.connect(server.address) as client:
        assert len(client.search.Search(SearchRequest(query="송금", limit=3)).hits) == 3


def code_of(channel: grpc.Channel, path: str, message: bytes) -> grpc.StatusCode:
    try:
        if path in STREAMS:
            stream: Any = channel.stream_stream(path)
            list(stream(iter([message, message]), timeout=30))
        else:
            unary: Any = channel.unary_unary(path)
            unary(message, timeout=30)
    except grpc.RpcError as raised:
        error: Any = raised
        code: grpc.StatusCode = error.code()
        return code
    return grpc.StatusCode.OK


@MANY
@given(message=SEARCHES | BATCHES | ENCODES)
def test_any_message(channel: grpc.Channel, message: SearchRequest | BatchSearchRequest | EncodeRequest) -> None:
    paths = {SearchRequest: SEARCH, BatchSearchRequest: PATHS[1], EncodeRequest: "/chaja.v1.EncodeService/Encode"}
    assert code_of(channel, paths[type(message)], message.SerializeToString()) in DOCUMENTED


@MANY
@given(path=st.sampled_from(PATHS), message=st.binary(max_size=64))
def test_any_bytes(channel: grpc.Channel, path: str, message: bytes) -> None:
    assert code_of(channel, path, message) in DOCUMENTED | {OF_OTHERS.get(path, grpc.StatusCode.OK)}


def test_reload_and_reflection_take_no_bytes_either(channel: grpc.Channel) -> None:
    for path in ("/chaja.v1.AdminService/Reload", "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"):
        method: Any = channel.unary_unary(path) if "Reload" in path else channel.stream_stream(path)
        with pytest.raises(grpc.RpcError) as raised:
            list(method(iter([b"\xff\xff"]), timeout=30)) if "Reflection" in path else method(b"\xff\xff", timeout=30)
        assert raised.value.code() == grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_messages_that_are_too_large(
    server: ServerProcess, channel: grpc.Channel, compression: grpc.Compression
) -> None:
    memory = resident_bytes(server.process.pid)
    unary: Any = channel.unary_unary(SEARCH)
    for _ in range(3):
        with pytest.raises(grpc.RpcError) as raised:
            unary(bytes(64 * MEGABYTE), compression=compression, timeout=60)
        assert raised.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert resident_bytes(server.process.pid) - memory < 40 * MEGABYTE


def test_a_message_that_claims_to_be_large_takes_no_memory(server: ServerProcess) -> None:
    memory = resident_bytes(server.process.pid)
    for claimed in (2**32 - 1, 2**30):
        data = struct.pack(">BL", 0, claimed) + bytes(1000)
        with connected(server.address, opened(SEARCH) + DataFrame(1, data).serialize()) as client:
            assert b"grpc-status\x018" in received_until(client, b"grpc-status")
    assert resident_bytes(server.process.pid) - memory < 20 * MEGABYTE


def malformed() -> list[bytes]:
    """What no HTTP/2 client sends."""
    chance = random.Random(7)
    hello, call = greeting(), opened(SEARCH)
    random_frames = [
        hello + raw_frame(chance.randrange(12), chance.randrange(256), chance.randrange(4), chance.randbytes(size))
        for size in range(60)
    ]
    data, header_frame, settings_frame, push, ping, window_update, continuation = 0, 1, 4, 5, 6, 8, 9
    end_headers = 4
    return [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + chance.randbytes(200),
        chance.randbytes(5000),
        PREFACE + chance.randbytes(5000),
        PREFACE + raw_frame(ping, 0, 0, bytes(8)),
        hello + struct.pack(">LBL", (2**24 - 1) << 8, 0, 1),
        hello + raw_frame(header_frame, end_headers, 1, b"\xff" * 100),
        hello + raw_frame(header_frame, end_headers, 2, b"\x88"),
        hello + raw_frame(header_frame, 0, 1, b"\x88") + raw_frame(ping, 0, 0, bytes(8)),
        hello + raw_frame(continuation, 0, 1, b"\x88"),
        hello + raw_frame(data, 0, 1, b"data"),
        hello + raw_frame(window_update, 0, 0, bytes(4)),
        hello + raw_frame(push, 0, 1, bytes(8)),
        hello + raw_frame(settings_frame, 0, 0, b"\x00"),
        call + raw_frame(data, 8, 1, b"\xff"),  # More padding than there is.
        call + raw_frame(data, 1, 1, b"\x02\x00\x00\x00\x00"),
        call + raw_frame(data, 1, 1, b"\x00\x00\x00"),
        *random_frames,
    ]


def test_frames_that_are_malformed(server: ServerProcess) -> None:
    sockets = open_sockets(server.process.pid)
    for data in malformed():
        with connected(server.address, data) as client:
            client.shutdown(socket.SHUT_WR)
            while client.recv(65536):  # To its end: the server closes, whatever it makes of it.
                pass
    wait_for_open_sockets(server.process.pid, sockets)
    assert server.process.poll() is None


async def test_ten_thousand_connections_that_come_and_go(server: ServerProcess) -> None:
    pid = server.process.pid
    host, port = server.address.split(":")
    greetings = [b"", PREFACE[:7], greeting(), opened(SEARCH)]
    linger = struct.pack("ii", 1, 0)  # Closes by RST: ports would run out otherwise.

    async def come_and_go(number: int) -> None:
        _, writer = await asyncio.open_connection(host, int(port))
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.write(greetings[number % 4])
        await asyncio.sleep(0.01)
        writer.transport.abort()

    async def storm(count: int) -> None:
        for start in range(0, count, 250):
            await asyncio.gather(*(come_and_go(number) for number in range(start, start + 250)))

    sockets = open_sockets(pid)
    await storm(1000)  # So that what is allocated once is there.
    wait_for_open_sockets(pid, sockets)
    memory = resident_bytes(pid)
    await storm(9000)
    wait_for_open_sockets(pid, sockets)
    assert resident_bytes(pid) - memory < 30 * MEGABYTE


def test_a_log_that_cannot_be_written_does_not_matter(tiny_bundle: Path) -> None:
    ports = free_ports(2)
    addresses = ["--listen", f"127.0.0.1:{ports[0]}", "--metrics", f"127.0.0.1:{ports[1]}"]
    command = [sys.executable, "-m", "server", *server_flags(tiny_bundle, SAMPLE_CATALOGUE), *addresses]
    full = os.open("/dev/full", os.O_WRONLY)
    with subprocess.Popen(command, cwd=REPOSITORY, stderr=full) as process:
        os.close(full)
        try:
            with chaja.connect(f"127.0.0.1:{ports[0]}") as client:
                request = SearchRequest(query="송금", limit=3)
                for _ in range(3):
                    assert client.search.Search(request, timeout=30, wait_for_ready=True).hits
                    process.send_signal(signal.SIGHUP)  # It has something to say of that.
                    time.sleep(0.1)
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
        finally:
            process.kill()


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
