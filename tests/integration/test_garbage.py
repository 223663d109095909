import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import chaja
from chaja.v1 import BatchSearchRequest, EncodeRequest, SearchRequest
from sample.server_process import REPOSITORY, ServerProcess
from server.rpc.server import METHODS
from tests.conftest import SAMPLE_CATALOGUE, server_flags
from tests.integration.errors import code_of
from tests.integration.serving import sample_server
from tests.integration.vitals import MEGABYTE, resident_bytes
from tests.ports import free_ports

SEARCH = "/chaja.v1.SearchService/Search"
ENDLESS = "WatchChanges"
PATHS = [f"/{method.service}/{method.name}" for method in METHODS if method.name not in ("Reload", ENDLESS)]
PATHS += ["/grpc.health.v1.Health/Check", "/no.such.Service/Method"]
REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
STREAMS = {f"/{method.service}/{method.name}" for method in METHODS if method.kind == "bidi_stream"} | {REFLECTION}
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
    with sample_server(tiny_bundle) as server:
        yield server
    assert not [line for line in server.lines if " ERROR " in line]


@pytest.fixture(scope="module")
def channel(server: ServerProcess) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(server.address) as channel:
        yield channel


@pytest.fixture(autouse=True)
def others_are_served(server: ServerProcess) -> Iterator[None]:
    yield
    with chaja.connect(server.address) as client:
        assert len(client.search.Search(SearchRequest(query="송금", limit=3)).hits) == 3


def code_of_bytes(channel: grpc.Channel, path: str, message: bytes) -> grpc.StatusCode:
    if path in STREAMS:
        stream: Any = channel.stream_stream(path)
        return code_of(lambda: list(stream(iter([message, message]), timeout=30)))
    return code_of(channel.unary_unary(path), message, timeout=30)


@MANY
@given(message=SEARCHES | BATCHES | ENCODES)
def test_any_message_gets_a_documented_code(
    channel: grpc.Channel, message: SearchRequest | BatchSearchRequest | EncodeRequest
) -> None:
    paths = {SearchRequest: SEARCH, BatchSearchRequest: PATHS[1], EncodeRequest: "/chaja.v1.EncodeService/Encode"}
    assert code_of_bytes(channel, paths[type(message)], message.SerializeToString()) in DOCUMENTED


@MANY
@given(path=st.sampled_from(PATHS), message=st.binary(max_size=64))
def test_any_bytes_get_an_expected_code(channel: grpc.Channel, path: str, message: bytes) -> None:
    assert code_of_bytes(channel, path, message) in DOCUMENTED | {OF_OTHERS.get(path, grpc.StatusCode.OK)}


def test_reload_and_reflection_reject_random_bytes(channel: grpc.Channel) -> None:
    for path in ("/chaja.v1.AdminService/Reload", REFLECTION):
        assert code_of_bytes(channel, path, b"\xff\xff") == grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_too_large_messages_are_rejected(
    server: ServerProcess, channel: grpc.Channel, compression: grpc.Compression
) -> None:
    memory = resident_bytes(server.process.pid)
    for _ in range(3):
        code = code_of(channel.unary_unary(SEARCH), bytes(64 * MEGABYTE), compression=compression, timeout=60)
        assert code == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert resident_bytes(server.process.pid) - memory < 40 * MEGABYTE


def test_the_server_survives_an_unwritable_log(tiny_bundle: Path) -> None:
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
                    assert client.search.Search(request, timeout=30).hits
                    process.send_signal(signal.SIGHUP)  # The server logs the reload.
                    time.sleep(0.1)
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
        finally:
            process.kill()
