import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
import pytest

from loadtest.errors import UsageError
from loadtest.scrape import Scraper, check_url, scrape_once

NOWHERE = "http://127.0.0.1:1/metrics"
PAGE = """\
# HELP requests_total How many.
# TYPE requests_total counter
requests_total{method="Search",code="OK"} 3.0
requests_total{code="INTERNAL",method="Search"} 1.0
requests_created{method="Search",code="OK"} 1.7e+09
# TYPE seconds histogram
seconds_bucket{le="1.0"} 1.0
seconds_bucket{le="+Inf"} 2.0
seconds_count 2.0
seconds_sum 2.5
# TYPE ready gauge
ready 1.0
"""


@contextmanager
def serving(page: str, *, status: int = 200, token: str = "") -> Iterator[str]:
    """Serves a page to those who send the token, if there is one; yields its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            allowed = not token or self.headers["Authorization"] == f"Bearer {token}"
            self.send_response(status if allowed else 401)
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/metrics"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_samples_are_named_by_name_and_labels_and_buckets_are_left_out() -> None:
    with serving(PAGE) as url:
        check_url(url)
        assert scrape_once(url) == {
            'requests_total{code="OK",method="Search"}': 3.0,
            'requests_total{code="INTERNAL",method="Search"}': 1.0,
            "seconds_count": 2.0,
            "seconds_sum": 2.5,
            "ready": 1.0,
        }


@pytest.mark.parametrize(
    ("message", "urls"),
    [
        ("must begin with http", ["127.0.0.1:9090/metrics", "file:///etc/passwd", "ftp://127.0.0.1/x", ""]),
        ("cannot be scraped", ["http://127.0.0.1:none/metrics", "http://127.0.0.1:9090/two words", "http://"]),
    ],
)
def test_an_invalid_url_is_rejected(message: str, urls: list[str]) -> None:
    for url in urls:
        with pytest.raises(UsageError, match=message):
            check_url(url)


def test_a_missing_page_is_rejected() -> None:
    with serving("", status=404) as url, pytest.raises(UsageError, match="404"):
        check_url(url)
    with pytest.raises(UsageError, match="refused"):
        check_url(NOWHERE)


def test_a_page_may_need_a_token() -> None:
    with serving(PAGE, token="secret") as url:
        check_url(url, token="secret")
        with pytest.raises(UsageError, match=r"401[^;]*; set --metrics-token"):
            check_url(url)
        with Scraper(url, token="secret", start_ns=0) as scraper:
            assert "samples" in wait_for(scraper)[0]


@pytest.mark.parametrize("page", ["<!doctype html>\n<p>Hello</p>", "a b c d", 'a{b="c} 1'])
def test_a_page_of_another_format_is_rejected(page: str) -> None:
    with serving(page) as url, pytest.raises(UsageError, match="cannot be scraped"):
        check_url(url)


def test_a_grpc_port_is_rejected() -> None:
    server = grpc.server(None, maximum_concurrent_rpcs=1)  # type: ignore[arg-type]
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with pytest.raises(UsageError, match="cannot be scraped: the answer is not HTTP") as error:
            check_url(f"http://127.0.0.1:{port}/metrics")
        assert "\n" not in str(error.value)
    finally:
        server.stop(None).wait()


def wait_for(scraper: Scraper) -> list[dict[str, object]]:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if taken := scraper.take():
            return list(taken)
        time.sleep(0.01)
    raise AssertionError("nothing was scraped")


def test_a_scraper_takes_samples_with_their_time() -> None:
    with serving(PAGE) as url, Scraper(url, start_ns=time.monotonic_ns() - 10_000_000_000) as scraper:
        (scrape,) = wait_for(scraper)
        assert scrape["samples"] == scrape_once(url)
        assert isinstance(scrape["seconds"], float)
        assert 10 <= scrape["seconds"] < 15
        assert scraper.take() == []


def test_a_scraper_reports_a_server_that_is_gone() -> None:
    with Scraper(NOWHERE, start_ns=0) as scraper:
        (scrape,) = wait_for(scraper)
        assert "refused" in str(scrape["error"])
        assert "samples" not in scrape


def test_without_a_url_nothing_is_scraped() -> None:
    before = threading.active_count()
    with Scraper("", start_ns=0) as scraper:
        assert threading.active_count() == before
        assert scraper.take() == []


@pytest.mark.parametrize(
    ("part", "length", "says"),
    [(b"# nothing\n", None, "the page does not end"), (b"ready 1\n", 99, "was cut short; 91 bytes are missing")],
)
def test_a_page_without_its_end_is_refused(
    monkeypatch: pytest.MonkeyPatch, part: bytes, length: int | None, says: str
) -> None:
    monkeypatch.setattr("loadtest.scrape.TIMEOUT_SECONDS", 0.3)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            if length:
                self.send_header("Content-Length", str(length))
            self.end_headers()
            with suppress(OSError):  # The client leaves.
                while True:
                    self.wfile.write(part)
                    if length:
                        return
                    time.sleep(0.05)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        with pytest.raises(UsageError, match=says):
            check_url(f"http://127.0.0.1:{server.server_address[1]}/metrics")
        server.shutdown()
