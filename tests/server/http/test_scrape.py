import asyncio

from tests.server.http.port_client import Port


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
