"""The HTTP port, in a thread beside the event loop of the test, which plays the server's."""

import asyncio
import contextlib
import http.client
import logging
import resource
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest
from prometheus_client import CollectorRegistry, Counter

from server import monitoring
from server.errors import AddressError
from server.setting_types import Address


@dataclass
class Port:
    """A port, and what its probes report."""

    address: Address
    alive: bool = True
    ready: bool = False

    def get(self, path: str, *, method: str = "GET", **headers: str) -> tuple[int, str]:
        """Sends one request; returns the status and the body."""
        connection = http.client.HTTPConnection(self.address.host, self.address.port, timeout=30)
        with contextlib.closing(connection):
            connection.request(method, path, headers=headers)
            response = connection.getresponse()
            return response.status, response.read().decode()

    async def ask(self, path: str, *, method: str = "GET", **headers: str) -> tuple[int, str]:
        return await asyncio.to_thread(self.get, path, method=method, **headers)

    def send(self, data: bytes) -> bytes:
        """Sends bytes; returns everything that is received until the port closes the connection."""
        with self.connected(data) as client:
            return read_all(client)

    @contextlib.contextmanager
    def connected(self, data: bytes = b"") -> Iterator[socket.socket]:
        with socket.create_connection(self.address, timeout=30) as client:
            client.sendall(data)
            yield client


def read_all(client: socket.socket) -> bytes:
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while part := client.recv(65536):
            received += part
    return received


def closed(client: socket.socket) -> bool:
    """Returns whether the port has closed a connection."""
    client.settimeout(0)
    try:
        return client.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


@pytest.fixture
async def port(caplog: pytest.LogCaptureFixture) -> AsyncIterator[Port]:
    registry = CollectorRegistry()
    for name in ("apples", "pears"):
        Counter(name, "Fruit.", registry=registry).inc(3)
    port = Port(Address("127.0.0.1", 0))
    probes = {"alive": lambda: port.alive, "ready": lambda: port.ready}
    with caplog.at_level(logging.WARNING), monitoring.monitoring(port.address, registry, **probes) as bound:
        port.address = bound
        yield port
    assert not caplog.records


async def test_metrics_are_served_in_the_format_that_the_caller_accepts(port: Port) -> None:
    status, body = await port.ask("/metrics")
    assert (status, "apples_total 3.0" in body) == (200, True)
    assert body == (await port.ask("/metrics?"))[1]
    assert "# EOF" not in body
    assert (await port.ask("/metrics", accept="application/openmetrics-text; version=1.0.0"))[1].endswith("# EOF\n")
    assert "apples" not in (await port.ask("/metrics?name[]=pears_total"))[1]
    assert (await port.ask("/metrics", accept="application/openmetrics-text; version=x"))[0] == 400


@pytest.mark.parametrize("path", ["/", "/metric", "/metrics/", "/healthz/x", "/health", "//metrics", "/%6detrics"])
async def test_other_paths_are_not_found(port: Port, path: str) -> None:
    for method in ("GET", "HEAD", "POST"):
        assert (await port.ask(path, method=method))[0] == 404


@pytest.mark.parametrize("path", ["/metrics", "/healthz", "/readyz"])
async def test_only_get_and_head_are_allowed(port: Port, path: str) -> None:
    port.ready = True
    assert await port.ask(path, method="HEAD") == (200, "")
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "get"):
        assert (await port.ask(path, method=method))[0] == 405


async def test_probes_report_what_the_server_reports(port: Port) -> None:
    assert await port.ask("/healthz") == (200, "ok\n")
    assert await port.ask("/readyz") == (503, "not serving\n")
    port.alive, port.ready = False, True
    assert await port.ask("/healthz") == (503, "not serving\n")
    assert await port.ask("/readyz?verbose") == (200, "ok\n")


async def test_a_server_whose_event_loop_hangs_is_neither_alive_nor_ready(
    port: Port, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitoring, "PROBE_SECONDS", 0.1)
    port.ready = True
    for path in ("/healthz", "/readyz"):
        assert port.get(path) == (503, "the server does not respond\n")  # The call blocks the server's event loop.
    assert (await asyncio.to_thread(port.get, "/healthz"))[0] == 200


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"\x16\x03\x01\x02\x00\r\n\r\n", b"400"),
        (b"GET /metrics\r\n\r\n", b"400"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"400"),
        (b"GET /healthz HTTP/1.1\r\nx: " + b"y" * 20_000, b"431"),
        (b"GET /healthz HTTP/1.0\r\n\r\n", b"200"),
    ],
)
async def test_odd_requests_get_one_answer_each(port: Port, request_: bytes, status: bytes) -> None:
    with port.connected(request_) as client:
        answer = await asyncio.to_thread(read_all, client)
    assert answer.startswith(b"HTTP/1.1 " + status)


async def test_a_request_in_pieces_is_answered(port: Port) -> None:
    with port.connected() as client:
        for byte in b"GET /healthz HTTP/1.1\r\n\r\n":
            client.sendall(bytes([byte]))
            await asyncio.sleep(0.001)
        assert (await asyncio.to_thread(read_all, client)).endswith(b"\r\n\r\nok\n")


@pytest.mark.parametrize("data", [b"", b"GET /metrics HT", b"GET /metrics HTTP/1.1\r\nhost: x\r\n"])
async def test_a_request_that_is_not_finished_ends_after_a_bounded_time(
    port: Port, monkeypatch: pytest.MonkeyPatch, data: bytes
) -> None:
    assert monitoring.REQUEST_SECONDS <= 10
    monkeypatch.setattr(monitoring, "REQUEST_SECONDS", 0.3)
    with port.connected(data) as client:
        for _ in range(200):  # A byte now and then does not help.
            if await asyncio.to_thread(closed, client):
                return
            await asyncio.sleep(0.05)
            with contextlib.suppress(OSError):
                client.send(b"x")
    raise AssertionError("the connection stays open")


async def test_idle_connections_make_room_for_new_ones(port: Port) -> None:
    with contextlib.ExitStack() as stack:
        idle = [stack.enter_context(port.connected(b"GET ")) for _ in range(4 * monitoring.MAX_CONNECTIONS)]
        assert (await port.ask("/healthz"))[0] == 200
        assert sum(not closed(each) for each in idle) < monitoring.MAX_CONNECTIONS


async def test_the_port_survives_a_lack_of_descriptors(port: Port) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with port.connected(b"GET /healthz HTTP/1.1\r\n\r\n") as client:
        assert (await asyncio.to_thread(read_all, client)).endswith(b"ok\n")
    with socket.socket() as client:
        client.settimeout(20)
        resource.setrlimit(resource.RLIMIT_NOFILE, (client.fileno() + 1, hard))  # Lower ones are in use.
        try:
            client.connect(port.address)  # The kernel connects it; the port cannot accept it yet.
            client.sendall(b"GET /healthz HTTP/1.1\r\n\r\n")
            await asyncio.sleep(0.3)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert (await asyncio.to_thread(read_all, client)).endswith(b"ok\n")


def port_cpu_seconds() -> float:
    """Returns the CPU time of the port's thread."""
    (thread,) = (each for each in threading.enumerate() if each.name == "monitoring")
    assert thread.ident is not None
    return time.clock_gettime(time.pthread_getcpuclockid(thread.ident))


async def test_requests_without_end_use_a_bounded_share_of_a_core(port: Port) -> None:
    used, began = port_cpu_seconds(), time.monotonic()
    answered = 0

    def request_on() -> None:
        nonlocal answered
        while time.monotonic() < began + 1.5:
            with contextlib.suppress(OSError):
                answered += port.send(b"GET /metrics HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 200")

    await asyncio.gather(*(asyncio.to_thread(request_on) for _ in range(4)))
    assert answered
    share = (port_cpu_seconds() - used) / (time.monotonic() - began)
    assert share < 2 * monitoring.CPU_SHARE


async def test_an_address_that_cannot_be_bound_is_reported(port: Port) -> None:
    for address, reason in (
        (port.address, "Address already in use"),
        (Address("a..b", 0), ""),
        (Address("x" * 80, 0), ""),
    ):
        with (
            pytest.raises(AddressError, match=f"cannot serve metrics on .*: {reason}.*; choose another with --metrics"),
            monitoring.monitoring(address, CollectorRegistry(), alive=bool, ready=bool),
        ):
            pass
