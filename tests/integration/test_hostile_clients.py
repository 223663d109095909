"""HTTP/2 attacks do not affect other clients: they are served, and memory and log stay bounded."""

import contextlib
import resource
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

import chaja
from chaja.v1 import SearchRequest
from sample.server_process import REPOSITORY, ServerProcess, running_server
from server.rpc.connections import MAX_UNSENT_BYTES
from tests.conftest import SAMPLE_CATALOGUE, server_flags
from tests.integration import hostile_client
from tests.integration.certificates import Authority
from tests.integration.scraping import status_of
from tests.integration.vitals import MEGABYTE, resident_bytes

TOKEN = "t" * 32
SECONDS = 4.0
WARM_UP_SEARCHES = 300
P99_SECONDS = 0.25
PROBE_SECONDS = 5.0
BOUND_BYTES = {
    "idle_connections": 50 * MEGABYTE,
    "half_prefaces": 50 * MEGABYTE,
    "connection_storm": 50 * MEGABYTE,
    "zero_window": 4 * MAX_UNSENT_BYTES,
    "unfinished_requests": 150 * MEGABYTE,
    "large_headers": 100 * MEGABYTE,
    "rapid_reset": 150 * MEGABYTE,
    "control_frames": 50 * MEGABYTE,
    "idle_monitoring": 50 * MEGABYTE,
    "endless_scrapes": 50 * MEGABYTE,
    "endless_requests": 50 * MEGABYTE,
    "endless_handshakes": 50 * MEGABYTE,
}
"""Maximum memory that each attack costs; docs/serving.md states the same."""


FEW_DESCRIPTORS = {"idle_connections", "half_prefaces", "connection_storm", "idle_monitoring"}
"""Attacks on a server with fewer descriptors than they open connections."""


@contextlib.contextmanager
def descriptors(count: int) -> Iterator[None]:
    """Limits the file descriptors of processes that start in the block."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextlib.contextmanager
def hostile(kind: str, address: str) -> Iterator[None]:
    command = [sys.executable, "-m", hostile_client.__name__, kind, address]
    with subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield
            assert process.poll() is None, process.stderr.read() if process.stderr else ""
        finally:
            process.kill()


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tokens") / "tokens"
    path.write_text(f"search app {TOKEN}\n", encoding="utf-8")
    return path


class EstablishedCaller(threading.Thread):
    """Sends a hundred consecutive searches a second on a separate connection."""

    def __init__(self, channel: grpc.Channel) -> None:
        super().__init__()
        self._search: Any = chaja.Client(channel).search.Search
        self.ending = threading.Event()
        self.seconds: list[float] = []
        self.failed: list[str] = []

    def search(self, number: int) -> None:
        request, metadata = SearchRequest(query=f"{number % 50} 번", limit=3), [("authorization", f"Bearer {TOKEN}")]
        began = time.perf_counter()
        try:
            self._search(request, timeout=10, metadata=metadata)
        except grpc.RpcError as error:
            self.failed.append(str(error))
        self.seconds.append(time.perf_counter() - began)

    def run(self) -> None:
        number = 0
        while not self.ending.wait(0.01):
            self.search(number)
            number += 1


@pytest.mark.alone
@pytest.mark.parametrize("kind", list(hostile_client.KINDS))
def test_other_clients_are_served_while_a_hostile_client_attacks(
    kind: str, tiny_bundle: Path, tokens: Path, tmp_path: Path
) -> None:
    flags, trusted = server_flags(tiny_bundle, SAMPLE_CATALOGUE), None
    if kind == "unfinished_requests":
        flags += ["--tokens", str(tokens)]
    if kind == "endless_handshakes":
        authority = Authority(tmp_path, "ours")
        pair, trusted = authority.signed("http"), authority.trusted()
        flags += ["--http-tls-certificate", str(pair.certificate), "--http-tls-key", str(pair.key)]
    with contextlib.ExitStack() as stack:
        with descriptors(256) if kind in FEW_DESCRIPTORS else contextlib.nullcontext():
            server = stack.enter_context(running_server(flags))
        check(kind, server, trusted)


def check(kind: str, server: ServerProcess, trusted: ssl.SSLContext | None) -> None:
    monitored = kind in {each.__name__ for each in hostile_client.MONITORING}
    with grpc.insecure_channel(server.address) as channel:
        caller = EstablishedCaller(channel)
        for number in range(WARM_UP_SEARCHES):
            caller.search(number)
        caller.seconds.clear()
        memory, lines = resident_bytes(server.process.pid), len(server.lines)
        address = server.metrics_url.split("/")[2] if monitored else server.address
        with hostile(kind, address):
            caller.start()
            peak, ends = memory, time.monotonic() + SECONDS
            while time.monotonic() < ends:
                time.sleep(0.2)
                peak = max(peak, resident_bytes(server.process.pid))
                asked = time.monotonic()
                assert not monitored or status_of(server.metrics_url, "/healthz", trusted=trusted) == 200
                assert time.monotonic() - asked < PROBE_SECONDS
            caller.ending.set()
            caller.join()
        assert not caller.failed
        median, p99 = np.percentile(caller.seconds, [50, 99])
        assert p99 <= P99_SECONDS, f"{len(caller.seconds)} searches: median {median:.3f} s, p99 {p99:.3f} s"
        assert peak - memory <= BOUND_BYTES[kind], f"it cost {(peak - memory) / MEGABYTE:.0f} MB"
        assert len(server.lines) - lines <= SECONDS, server.lines[lines:][:20]
