"""Scrapes the server's Prometheus metrics once a second during an attack."""

import http.client
import queue
import threading
import time
import urllib.error
import urllib.request
from http import HTTPStatus
from typing import Any, Self

from prometheus_client.parser import text_string_to_metric_families

from loadtest.clock import now_ns
from loadtest.errors import UsageError

PERIOD_SECONDS = 1.0
TIMEOUT_SECONDS = 2.0
LARGEST_BYTES = 64 * 1024 * 1024
PART_BYTES = 1024 * 1024


class Scraper:
    """A context manager whose thread scrapes until the exit; without a URL it does nothing."""

    def __init__(self, url: str, *, token: str = "", start_ns: int) -> None:
        self._url = url
        self._token = token
        self._start_ns = start_ns
        self._stop = threading.Event()
        self._scrapes: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        if self._url:
            self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._stop.set()

    def take(self) -> list[dict[str, Any]]:
        """Returns the scrapes since the last call."""
        taken = []
        while not self._scrapes.empty():
            taken.append(self._scrapes.get())
        return taken

    def _run(self) -> None:
        while not self._stop.is_set():
            asked = time.monotonic()
            scrape: dict[str, Any] = {"seconds": round((now_ns() - self._start_ns) / 1e9, 3)}
            try:
                scrape["samples"] = scrape_once(self._url, token=self._token)
            except (OSError, ValueError) as error:
                scrape["error"] = str(error)
            self._scrapes.put(scrape)
            self._stop.wait(max(0.0, PERIOD_SECONDS - (time.monotonic() - asked)))


def scrape_once(url: str, *, token: str = "") -> dict[str, float]:
    """Returns every sample of a metrics page by name and labels, without histogram buckets.

    Raises:
        OSError: The page cannot be fetched.
        ValueError: The page is not in Prometheus' text format.
    """
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310  the user's own URL
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:  # noqa: S310
            text = _page(response).decode("utf-8")
    except http.client.HTTPException as error:
        raise OSError(f"the answer is not HTTP: {type(error).__name__}") from None
    samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if not sample.name.endswith(("_bucket", "_created")):
                labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
                samples[f"{sample.name}{{{labels}}}" if labels else sample.name] = float(sample.value)
    return samples


def _page(response: http.client.HTTPResponse) -> bytes:
    """Returns the page of an answer; raises OSError if it does not end in time, or ends too early."""
    until, page = time.monotonic() + TIMEOUT_SECONDS, b""
    while more := response.read1(PART_BYTES):
        page += more
        if len(page) > LARGEST_BYTES or time.monotonic() > until:
            raise OSError(f"the page does not end within {TIMEOUT_SECONDS:g} seconds and {LARGEST_BYTES:,} bytes")
    if response.length:
        raise OSError(f"the page was cut short; {response.length:,} bytes are missing")
    return page


def check_url(url: str, *, token: str = "") -> None:
    """Raises UsageError if the page cannot be scraped."""
    if not url.startswith(("http://", "https://")):
        raise UsageError(f"--metrics-url must begin with http:// or https://: {url}")
    try:
        scrape_once(url, token=token)
    except urllib.error.HTTPError as error:
        advice = "; set --metrics-token" if error.code == HTTPStatus.UNAUTHORIZED else ""
        raise UsageError(f"{url} cannot be scraped: {error}{advice}") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"{url} cannot be scraped: {error}") from None
