"""Searches a second, compared with the encoder alone."""

import asyncio
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.serving.empty_server import running_empty_server
from benchmarks.serving.figure import Figure
from benchmarks.serving.peak import Peak, Peaks
from benchmarks.serving.setting import NO_CACHE, PATIENT, Setting
from chaja import connect_async
from chaja.v1 import SearchRequest
from loadtest.scrape import scrape_once
from sample.server_process import ServerProcess

LEAST_SHARE = 0.6
MOST_OUTSIDE_MS = 0.3


def measure_throughput(setting: Setting, peaks: Peaks) -> Iterator[Figure]:
    """Yields the rate on all cores, and that of the encoder alone."""
    del setting
    peak = peaks.peak
    stretches = peak.stretches
    failed = [each.summary.total.sent - each.summary.total.ok.count for each in stretches]
    yield Figure("encoder alone", [each.rate for each in peak.bares], "{:,.0f} texts/s")
    yield Figure("server", [each.rate for each in stretches], "{:,.0f} searches/s")
    yield Figure("searches that failed", failed, "{:,.0f}", at_most=0)
    yield Figure("the server took", [each.server_cores for each in stretches], "{:.2f} cores")
    yield Figure("the generator took", [each.generator_cores for each in stretches], "{:.2f} cores")
    yield Figure("other processes took", [each.other_cores for each in stretches], "{:.2f} cores")
    yield Figure("server, corrected for the generator", peak.corrected_rates, "{:,.0f} searches/s")
    yield Figure("corrected rate against the encoder", peak.ratios, "{:.3f} ×", at_least=LEAST_SHARE)


def measure_outside(setting: Setting, peaks: Peaks) -> Iterator[Figure]:
    """Yields the CPU time of a search outside the encoder, minus that of an empty call at the same rate."""
    del peaks
    answer_bytes = asyncio.run(_answer_bytes(setting))
    search, encoder, calls = [], [], []
    with setting.server(*NO_CACHE, *PATIENT) as server, running_empty_server(answer_bytes) as empty:
        for _ in range(setting.repeats):
            before = _spent(server)
            rate = setting.closed(server).rate
            cpu_seconds, encoder_seconds, searches = (_spent(server) - before).tolist()
            search.append(1e3 * cpu_seconds / searches)
            encoder.append(1e3 * encoder_seconds / searches)
            calls.append(1e3 * setting.opened(empty, rate, poisson=False).cpu_per_answer)
    yield Figure("CPU of the server for a search", search, "{:.3f} ms")
    yield Figure("CPU of the encoder for a search", encoder, "{:.3f} ms", note="as the server's workers measure it")
    note = f"{answer_bytes:,} bytes of answer, at the same rate"
    yield Figure("CPU of an empty grpc.aio call", calls, "{:.3f} ms", note=note)
    outside = [whole - part - call for whole, part, call in zip(search, encoder, calls, strict=True)]
    yield Figure("CPU beyond encoder and empty call", outside, "{:.3f} ms", at_most=MOST_OUTSIDE_MS)


def _spent(server: ServerProcess) -> NDArray[np.float64]:
    """Returns the CPU seconds of a server and of its encoder, and the number of answered searches."""
    samples = scrape_once(server.metrics_url)
    searches = [value for name, value in samples.items() if "handled_total" in name and "SearchService" in name]
    return np.array([samples["process_cpu_seconds_total"], samples["chaja_encode_cpu_seconds_total"], sum(searches)])


async def _answer_bytes(setting: Setting) -> int:
    """Returns the size of the answer to the first query."""
    with setting.server() as server:
        async with connect_async(server.address) as client:
            search: Any = client.search.Search
            response = await search(SearchRequest(query=setting.queries[0].fields["query"]))
            return len(response.SerializeToString())


def measure_limit(setting: Setting, peaks: Peaks) -> Iterator[Figure]:
    """Yields the rate of one process when every vector is in the cache."""
    del peaks
    with setting.server() as server:
        stretches = tuple(setting.closed(server, one_query=True) for _ in range(setting.repeats))
    note = "a higher rate needs a second process"
    corrected = Peak(len(setting.cores), (), stretches).corrected_rates
    yield Figure("rate with every vector in the cache", [each.rate for each in stretches], "{:,.0f}/s")
    yield Figure("that rate, corrected for the generator", corrected, "{:,.0f}/s", note=note)
    costs = [1e3 * each.cpu_per_answer for each in stretches]
    yield Figure("CPU of the server for a search", costs, "{:.3f} ms")
