"""The HTTP port with TLS."""

import asyncio
import contextlib
import logging
import shutil
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.http import port as port_module
from server.security.https import HttpsCertificate
from tests.integration.certificates import Authority, Pair
from tests.server.http.conftest import Opened
from tests.server.http.port_client import Port, closed, read_all

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), "ours")


@pytest.fixture
def files(tmp_path: Path, authority: Authority) -> Pair:
    files = Pair(tmp_path / "tls.crt", tmp_path / "tls.key")
    files.replace(authority.signed("first"))
    return files


@pytest.fixture
async def port(
    opened: Opened, authority: Authority, files: Pair, caplog: pytest.LogCaptureFixture
) -> AsyncIterator[Port]:
    """A port whose clients make it log nothing above INFO."""
    with caplog.at_level(logging.INFO), opened(certificate=HttpsCertificate(*files)) as port:
        port.trusted = authority.trusted()
        yield port
    assert not [each for each in caplog.records if each.levelno > logging.INFO]


def subject(port: Port) -> str:
    """Returns the name in the port's certificate."""
    assert port.trusted is not None
    with (
        socket.create_connection(port.address, timeout=20) as client,
        port.trusted.wrap_socket(client, server_hostname="localhost") as secure,
    ):
        names = secure.getpeercert()["subject"]  # type: ignore[index]
        return str(dict(pair for each in names for pair in each)["commonName"])  # type: ignore[misc]


async def test_metrics_are_served_with_tls(port: Port) -> None:
    assert "apples_total 3.0" in port.get("/metrics")[1]
    assert port.send(b"GET /metrics HTTP/1.0\r\n\r\n") == b""  # Without TLS, there is no answer.
    assert port.get("/metrics", method="HEAD") == (200, "")


async def test_a_new_certificate_is_used_for_new_connections(port: Port, files: Pair, authority: Authority) -> None:
    assert subject(port) == "first"
    files.replace(authority.signed("second"))
    assert subject(port) == "second"


async def test_handshakes_that_are_not_finished_end_after_a_bounded_time(
    port: Port, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(port_module, "REQUEST_SECONDS", 0.3)
    for data in (b"", b"\x16\x03\x01\x02\x00"):
        with port.connected(data) as client:
            client.settimeout(20)
            assert await asyncio.to_thread(read_all, client) == b""


async def test_handshakes_that_are_not_finished_make_room_for_new_ones(port: Port) -> None:
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    with contextlib.ExitStack() as stack:
        idle = [stack.enter_context(port.connected(b"\x16")) for _ in range(4 * port_module.MAX_CONNECTIONS)]
        assert (await asyncio.to_thread(port.get, "/healthz"))[0] == 200
        assert sum(not closed(each) for each in idle) < port_module.MAX_CONNECTIONS
    assert (await asyncio.to_thread(port.get, "/healthz"))[0] == 200
    for _ in range(100):  # The port closes the last ones shortly after.
        if len(list(Path("/proc/self/fd").iterdir())) <= descriptors:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("descriptors stay open")
