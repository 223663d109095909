import logging

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from tests.server.http.conftest import Opened
from tests.server.http.port_client import Port

PATHS = ["/metrics", "/healthz", "/readyz"]


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/metric", "/metrics/", "/healthz/x", "/health", "//metrics", "/metrics%2f", "/metrics%00", "/%"),
        *("/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/metrics/../../../etc/passwd", "/..%2f..%2fetc%2fpasswd"),
        *("/metrics;x", "http://x/metrics", "*", "metrics", "/\\..\\etc"),
    ],
)
async def test_other_paths_are_not_found(port: Port, path: str) -> None:
    for method in ("GET", "HEAD", "POST"):
        status, body = port.get(path, method=method)
        assert (status, body) == (404, "" if method == "HEAD" else "there are /healthz, /readyz, /metrics\n")


async def test_only_get_and_head_are_allowed(port: Port) -> None:
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE", "get"):
        for path in PATHS:
            with port.response(path, method=method) as response:
                assert response.status == 405
                assert set(response.headers["Allow"].split(", ")) == {"GET", "HEAD"}
    assert port.get("/metrics", method="HEAD") == (200, "")


async def test_every_answer_has_a_date_and_the_headers_that_protect_pages(port: Port) -> None:
    for path in ("/metrics", "/other"):
        for method in ("GET", "POST"):
            with port.response(path, method=method) as response:
                assert response.headers["Content-Security-Policy"].startswith("default-src 'self';")
                assert response.headers["X-Content-Type-Options"] == "nosniff"
                assert response.headers["Cache-Control"] == "no-store"
                assert response.headers["Connection"] == "close"
                assert response.headers["Date"].endswith(" GMT")


async def test_pages_have_paths_of_their_own(opened: Opened) -> None:
    async def page(request: Request) -> Response:
        return PlainTextResponse(f"{request.query_params['q']} {request.client}")

    with opened(pages=[Route("/", page)]) as port:
        # The address of the client is that of its connection, whatever it claims.
        status, body = port.get("/?q=%EB%B2%88", **{"X-Forwarded-For": "10.1.1.1"})
        assert (status, body.split("(")[0], "10.1.1.1" in body) == (200, "번 Address", False)
        assert port.get("/other") == (404, "there are /healthz, /readyz, /metrics, /\n")


async def test_a_page_that_fails_is_logged_without_the_request(
    opened: Opened, caplog: pytest.LogCaptureFixture
) -> None:
    async def page(_: Request) -> Response:
        raise RuntimeError("broken")

    with caplog.at_level(logging.INFO), opened(pages=[Route("/page", page)]) as port:
        assert port.get("/page?q=secret")[0] == 500
        assert port.get("/metrics")[0] == 200
    (record,) = caplog.records
    assert record.getMessage() == "a request for /page failed"
    assert "secret" not in caplog.text
