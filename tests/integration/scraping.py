"""Reads a server's metrics as Prometheus does."""

import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable

from prometheus_client.parser import text_string_to_metric_families

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]

HANDLED = "grpc_server_handled_total"


def scrape(url: str, *, trusted: ssl.SSLContext | None = None, token: str = "") -> Samples:
    """Scrapes a server, with TLS if it is `trusted`, and with the token of its HTTP port."""
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})  # noqa: S310
    with urllib.request.urlopen(request, timeout=30, context=trusted) as response:  # noqa: S310  our own server
        families = list(text_string_to_metric_families(response.read().decode()))
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def status_of(metrics_url: str, path: str, *, trusted: ssl.SSLContext | None = None) -> int:
    """Returns the HTTP status of another path of the metrics' port."""
    try:
        url = metrics_url.removesuffix("/metrics") + path
        with urllib.request.urlopen(url, timeout=30, context=trusted) as response:  # noqa: S310
            return int(response.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples[name, frozenset(labels.items())]


def total(samples: Samples, name: str, **labels: str) -> float:
    """Returns the sum of all series that have these labels."""
    wanted = set(labels.items())
    return sum(number for (each, found), number in samples.items() if each == name and wanted <= found)


def scrape_until(url: str, condition: Callable[[Samples], object], *, seconds: float = 20.0) -> Samples:
    """Scrapes until a condition is true: the server counts a call at its end, maybe after the caller has the answer."""
    ends = time.monotonic() + seconds
    while not condition(samples := scrape(url)):
        assert time.monotonic() < ends, "the condition did not become true"
        time.sleep(0.02)
    return samples
