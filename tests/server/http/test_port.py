"""The bounds of the HTTP port."""

import asyncio
import contextlib
import itertools
import resource
import socket
import threading
import time
from collections.abc import Callable

import pytest
from prometheus_client import CollectorRegistry
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from server.errors import AddressError
from server.http import pace
from server.http import port as port_module
from server.http.app import HEADERS, http_app
from server.http.port import http_port
from server.setting_types import Address
from tests.server.http.conftest import Opened
from tests.server.http.port_client import Port, closed, read_all

PROBE = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"\x16\x03\x01\x02\x00\r\n\r\n", 400),
        (b"GET /metrics\r\n\r\n", 400),
        (b"GET /metrics HTTP/1.1\r\n\r\n", 400),  # No host.
        (b"GET /met\xffrics HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\nA b: c\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 404),
        (b"CONNECT metrics:80 HTTP/1.1\r\nHost: x\r\n\r\n", 404),
        (b"GET /healthz HTTP/1.1\r\nx: " + b"y" * 20_000, 400),
        (b"GET /" + b"y" * 20_000, 400),
        (b"GET /healthz HTTP/1.0\r\n\r\n", 200),
        (PROBE.replace(b"\r\n\r\n", b"\r\nConnection: keep-alive\r\n\r\n"), 200),
        (PROBE.replace(b"\r\n\r\n", b"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"), 200),
        (PROBE * 3, 200),  # Pipelined requests.
        (PROBE + b"no request\r\n\r\n", 200),
        (PROBE.replace(b"\r\n\r\n", b"\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"), 200),
        (PROBE.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"), 200),
        (PROBE.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\nno chunk\r\n"), 400),
        (PROBE.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: x\r\n\r\n"), 400),
        (PROBE.replace(b"\r\n\r\n", b"\r\nContent-Length: -1\r\n\r\n"), 400),
        (b"POST /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 9999, 405),
    ],
)
async def test_odd_requests_get_one_answer_each(port: Port, request_: bytes, status: int) -> None:
    answer = await asyncio.to_thread(port.send, request_)
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert answer.count(b"HTTP/1.1 ") == 1
    assert await asyncio.to_thread(port.send, PROBE)


async def test_a_request_in_pieces_is_answered(port: Port) -> None:
    with port.connected() as client:
        for byte in PROBE:
            client.sendall(bytes([byte]))
            await asyncio.sleep(0.001)
        assert (await asyncio.to_thread(read_all, client)).endswith(b"\r\n\r\nok\n")


async def test_the_body_of_a_request_is_ignored(opened: Opened) -> None:
    asked, answer = threading.Event(), threading.Event()

    async def page(_: Request) -> Response:
        asked.set()
        await asyncio.to_thread(answer.wait, 20)
        return PlainTextResponse("a page")

    with (
        opened(pages=[Route("/page", page)]) as port,
        port.connected(b"GET /page HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n") as client,
    ):
        assert await asyncio.to_thread(asked.wait, 20)
        client.sendall(b"no chunk\r\n" * 9)
        answer.set()
        assert (await asyncio.to_thread(read_all, client)).endswith(b"a page")


@pytest.mark.parametrize("data", [b"", b"GET /metrics HT", b"GET /metrics HTTP/1.1\r\nhost: x\r\n"])
async def test_a_request_that_is_not_finished_ends_after_a_bounded_time(
    port: Port, monkeypatch: pytest.MonkeyPatch, data: bytes
) -> None:
    assert port_module.REQUEST_SECONDS <= 10
    monkeypatch.setattr(port_module, "REQUEST_SECONDS", 0.3)
    with port.connected(data) as client:
        for _ in range(200):  # A byte now and then does not help.
            if await asyncio.to_thread(closed, client):
                return
            await asyncio.sleep(0.05)
            with contextlib.suppress(OSError):
                client.send(b"x")
    raise AssertionError("the connection stays open")


async def test_an_answer_that_is_not_read_ends_after_a_bounded_time(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(port_module, "REQUEST_SECONDS", 0.3)
    body = "x" * 50_000_000

    async def page(_: Request) -> Response:
        return PlainTextResponse(body)

    with (
        opened(pages=[Route("/page", page)]) as port,
        port.connected(b"GET /page HTTP/1.0\r\n\r\n") as client,
    ):
        await asyncio.sleep(1)
        assert 0 < len(await asyncio.to_thread(read_all, client)) < len(body)


async def test_idle_connections_make_room_for_new_ones(port: Port) -> None:
    with contextlib.ExitStack() as stack:
        idle = [stack.enter_context(port.connected(b"GET ")) for _ in range(4 * port_module.MAX_CONNECTIONS)]
        assert (await asyncio.to_thread(port.get, "/healthz"))[0] == 200
        assert sum(not closed(each) for each in idle) < port_module.MAX_CONNECTIONS


async def test_the_port_survives_a_lack_of_descriptors(port: Port) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with port.connected(PROBE) as client:
        assert (await asyncio.to_thread(read_all, client)).endswith(b"ok\n")
    with socket.socket() as client:
        client.settimeout(20)
        resource.setrlimit(resource.RLIMIT_NOFILE, (client.fileno() + 1, hard))  # Lower ones are in use.
        try:
            client.connect(port.address)  # The kernel connects it; the port cannot accept it yet.
            client.sendall(PROBE)
            await asyncio.sleep(0.3)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert (await asyncio.to_thread(read_all, client)).endswith(b"ok\n")


def port_cpu_seconds() -> float:
    """Returns the CPU time of the port's thread."""
    (thread,) = (each for each in threading.enumerate() if each.name == "http")
    assert thread.ident is not None
    return time.clock_gettime(time.pthread_getcpuclockid(thread.ident))


def scrapes(port: Port) -> None:
    port.send(b"GET /metrics HTTP/1.0\r\n\r\n")


def connects(port: Port) -> None:
    with port.connected():
        pass


def sends_single_bytes(port: Port) -> None:
    with port.connected() as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(2000):
            client.send(b"x")


def sends_chunks(port: Port) -> None:
    with port.connected(b"POST /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n") as client:
        for _ in range(100):
            client.send(b"1\r\nx\r\n" * 1000)


@pytest.mark.parametrize("attack", [scrapes, connects, sends_single_bytes, sends_chunks])
async def test_clients_make_the_port_use_a_bounded_share_of_a_core(
    port: Port, attack: Callable[[Port], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "BURST_SECONDS", 0.1)
    used, began = port_cpu_seconds(), time.monotonic()

    def attack_on() -> int:
        for number in itertools.count():
            if time.monotonic() > began + 2:
                return number
            with contextlib.suppress(OSError):
                attack(port)
        raise AssertionError

    attacks = [asyncio.create_task(asyncio.to_thread(attack_on)) for _ in range(4)]
    await asyncio.sleep(1)
    assert (await asyncio.to_thread(port.send, PROBE)).endswith(b"ok\n")
    assert all(await asyncio.gather(*attacks))
    share = (port_cpu_seconds() - used) / (time.monotonic() - began)
    assert share < 2 * pace.CPU_SHARE


async def test_an_address_that_cannot_be_bound_is_reported(port: Port) -> None:
    app = http_app(CollectorRegistry(), alive=bool, ready=bool)
    for address, reason in (
        (port.address, "Address already in use"),
        (Address("a..b", 0), "the host is not a valid DNS name"),
        (Address("x" * 80, 0), "the host is not a valid DNS name"),
    ):
        with (
            pytest.raises(AddressError, match=f"cannot serve metrics on .*: {reason}.*; choose another with --metrics"),
            http_port(address, app, headers=HEADERS),
        ):
            pass
