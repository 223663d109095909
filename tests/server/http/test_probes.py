import asyncio

import pytest

from server.http import probes
from tests.server.http.port_client import Port


async def test_probes_report_what_the_server_reports(port: Port) -> None:
    async def ask(path: str) -> tuple[int, str]:
        return await asyncio.to_thread(port.get, path)

    assert await ask("/healthz") == (200, "ok\n")
    assert await ask("/readyz") == (503, "not serving\n")
    port.alive, port.ready = False, True
    assert await ask("/healthz") == (503, "not serving\n")
    assert await ask("/readyz?verbose") == (200, "ok\n")


async def test_a_server_whose_event_loop_hangs_is_neither_alive_nor_ready(
    port: Port, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probes, "PROBE_SECONDS", 0.1)
    port.ready = True
    for path in ("/healthz", "/readyz"):
        assert port.get(path) == (503, "the server does not respond\n")  # The call blocks the server's event loop.
    assert (await asyncio.to_thread(port.get, "/healthz"))[0] == 200


async def test_a_stop_does_not_wait_for_a_probe(port: Port) -> None:
    """The fixture then stops the port, while the event loop does not answer, and checks that nothing is logged."""
    with port.connected(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n") as client:
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.recv(1)
