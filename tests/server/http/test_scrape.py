import asyncio
import time
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from starlette.requests import Request

from server.http import scrape
from server.http.app import HEADERS, http_app
from server.http.port import http_port
from server.setting_types import Address
from tests.server.http.port_client import Port

SCRAPE = b"GET /metrics HTTP/1.0\r\n\r\n"


async def test_metrics_are_served_in_the_format_that_the_caller_accepts(port: Port) -> None:
    status, body = await asyncio.to_thread(port.get, "/metrics")
    assert (status, "apples_total 3.0" in body, "# EOF" in body) == (200, True, False)
    assert body == (await asyncio.to_thread(port.get, "/metrics?"))[1]
    with port.response("/metrics") as response:
        assert response.headers["Content-Type"].startswith("text/plain; version=")
    openmetrics = "application/openmetrics-text; version=1.0.0"
    with port.response("/metrics", accept=openmetrics) as response:
        assert response.headers["Content-Type"].startswith(openmetrics)
        assert response.read().endswith(b"# EOF\n")
    assert port.get("/metrics", accept="application/openmetrics-text; version=x")[0] == 400


async def test_a_scrape_may_ask_for_some_metrics(port: Port) -> None:
    status, body = port.get("/metrics?name[]=pears_total")
    assert (status, "pears_total 3.0" in body, "apples" in body) == (200, True, False)
    assert "apples" in port.get("/metrics?name%5B%5D=pears_total&name[]=apples_total")[1]
    assert port.get("/metrics?name[]=%ff&" + "x&" * 5000) == (200, "")


class Slow(Collector):
    """Takes 20 ms of CPU time."""

    def collect(self) -> Iterator[Metric]:
        ends = time.thread_time() + 0.02
        while time.thread_time() < ends:
            pass
        return iter(())


async def test_a_probe_does_not_wait_for_scrapes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scrape, "CPU_SHARE", 0.001)
    monkeypatch.setattr(scrape, "BURST_SECONDS", 0.0)
    registry = CollectorRegistry()
    registry.register(Slow())
    app = http_app(registry, alive=lambda: True, ready=lambda: True)
    with http_port(Address("127.0.0.1", 0), app, headers=HEADERS) as address:
        port = Port(address)
        assert await asyncio.to_thread(port.get, "/metrics") == (200, "")
        # The next one has its turn 20 s later, which is more than a connection has.
        scrapes = [asyncio.create_task(asyncio.to_thread(port.send, SCRAPE)) for _ in range(4)]
        for _ in range(20):
            assert await asyncio.to_thread(port.get, "/healthz") == (200, "ok\n")
        assert not any(each.done() for each in scrapes)
    assert await asyncio.gather(*scrapes) == [b""] * 4  # The port has stopped.


async def test_scrapes_that_follow_each_other_are_answered_at_once() -> None:
    registry = CollectorRegistry()
    registry.register(Slow())
    scrapes = scrape.Scrapes(registry)
    request = Request({"type": "http", "query_string": b"", "headers": []})
    began = time.monotonic()
    for _ in range(10):
        await scrapes.answer(request)
    at_once = time.monotonic() - began
    for _ in range(10):
        await scrapes.answer(request)
    assert at_once < 1 < time.monotonic() - began


class Counting(Collector):
    """Counts the answers."""

    def __init__(self) -> None:
        self.count = 0

    def collect(self) -> Iterator[Metric]:
        self.count += 1
        return iter(())


async def test_scrapes_that_wait_share_one_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    registry, counting = CollectorRegistry(), Counting()
    registry.register(counting)
    registry.register(Slow())
    scrapes = scrape.Scrapes(registry)
    monkeypatch.setattr(scrape, "CPU_SHARE", 0.1)
    monkeypatch.setattr(scrape, "BURST_SECONDS", 0.0)
    request = Request({"type": "http", "query_string": b"", "headers": []})
    await scrapes.answer(request)
    counting.count = 0
    assert {(await each).status_code for each in [asyncio.create_task(scrapes.answer(request)) for _ in range(50)]} == {
        200
    }
    assert counting.count == 1
