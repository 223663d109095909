"""The cost of the metrics: throughput with and without them, and the time of a scrape."""

import contextlib
import statistics
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace

from benchmarks.serving import unobserved_server
from benchmarks.serving.figure import Figure
from benchmarks.serving.peak import Peaks
from benchmarks.serving.pressure import OVERLOAD, OVERLOAD_CONNECTIONS
from benchmarks.serving.setting import NO_CACHE, PATIENT, Setting
from sample.server_process import ServerProcess

MOST_COST_PERCENT = 2.0
MOST_IDLE_MS = 20.0
MOST_OVERLOADED_MS = 100.0

SHORT_SECONDS = 2
"""Length of a stretch. The shorter, the more alike is what else the machine does during both of a pair."""

SCRAPES = 8
PAUSE_SECONDS = 0.8
"""Pause between two scrapes. Prometheus makes longer ones. The server delays scrapes that never pause."""

ACCEPT = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.1"


def measure_metrics(setting: Setting, peaks: Peaks) -> Iterator[Figure]:
    """Yields what the metrics cost, and the time of scrapes of an idle and of an overloaded server."""
    yield from _costs(setting, "a search", *NO_CACHE, *PATIENT)
    yield from _costs(setting, "a search with its vector in the cache", one_query=True)
    with setting.server() as server:
        scraped, after_pauses = [], []
        for _ in range(setting.repeats):
            scraped.append([_scrape_ms(server) for _ in range(SCRAPES)])
            after_pauses.append([_paused_scrape_ms(server) for _ in range(SCRAPES)])
    yield from _scrapes("idle", scraped, at_most=MOST_IDLE_MS)
    # On virtual machines whose host reclaims idle memory, whatever was not used for some time is slow.
    yield from _scrapes(f"idle, after a pause of {PAUSE_SECONDS:g} s", after_pauses)
    apart = replace(setting, apart=True)
    with apart.server(*NO_CACHE) as server:
        scraped = [
            _overloaded_scrapes(apart, server, OVERLOAD * peaks.peak.rate, seed) for seed in range(setting.repeats)
        ]
    yield from _scrapes(f"at {OVERLOAD} × the peak", scraped, at_most=MOST_OVERLOADED_MS)


def _costs(setting: Setting, what: str, *flags: str, one_query: bool = False) -> Iterator[Figure]:
    """Attacks both servers in turn; yields their CPU time for a search, and the share of it that the metrics take.

    A saturated server answers fewer searches by that share. The rate itself would also depend on the generator, which
    shares the cores. Of each repeat the least times count: other processes can only add to them.
    """
    short = replace(setting, seconds=min(setting.seconds, SHORT_SECONDS))
    cpu_ms, costs = [], []
    with setting.server(*flags) as observed, setting.server(*flags, module=unobserved_server.MODULE) as unobserved:
        for _ in range(setting.repeats):
            pairs = [
                [short.closed(server, one_query=one_query).cpu_per_call for server in (observed, unobserved)]
                for _ in range(setting.seconds // short.seconds)
            ]
            with_metrics, without_metrics = map(min, zip(*pairs, strict=True))
            cpu_ms.append(1e3 * with_metrics)
            costs.append(100 * (1 - without_metrics / with_metrics))
    yield Figure(f"CPU of the server for {what}", cpu_ms, "{:.3f} ms")
    yield Figure("share that the metrics take", costs, "{:.2f} %", at_most=MOST_COST_PERCENT, note=what)


def _paused_scrape_ms(server: ServerProcess) -> float:
    time.sleep(PAUSE_SECONDS)
    return _scrape_ms(server)


def _overloaded_scrapes(setting: Setting, server: ServerProcess, rate: float, seed: int) -> list[float]:
    """Scrapes while the server gets far more calls than it can answer."""
    times: list[float] = []
    ended = threading.Event()

    def scrape() -> None:
        while not ended.wait(PAUSE_SECONDS):
            times.append(_scrape_ms(server))

    thread = threading.Thread(target=scrape)
    thread.start()
    with contextlib.ExitStack() as stack:
        stack.callback(thread.join)
        stack.callback(ended.set)
        setting.opened(server, rate, connections=OVERLOAD_CONNECTIONS, seed=seed)
    return times


def _scrape_ms(server: ServerProcess) -> float:
    """Scrapes as Prometheus does; returns the time from the connection to the last byte."""
    request = urllib.request.Request(server.metrics_url, headers={"Accept": ACCEPT})  # noqa: S310  our own server
    started = time.perf_counter()
    with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
        response.read()
    return 1e3 * (time.perf_counter() - started)


def _scrapes(state: str, scraped: list[list[float]], *, at_most: float | None = None) -> Iterator[Figure]:
    medians = [statistics.median(times) for times in scraped]
    yield Figure(f"a scrape of a server {state}, p50", medians, "{:.1f} ms", at_most=at_most)
    yield Figure(f"a scrape of a server {state}, slowest", [max(times) for times in scraped], "{:.1f} ms")
