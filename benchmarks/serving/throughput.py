"""Searches a second, compared with the encoder alone."""

import asyncio
from collections.abc import Iterator
from typing import Any

from benchmarks.serving.empty_server import running_empty_server
from benchmarks.serving.figure import Figure
from benchmarks.serving.peak import Peak, Peaks
from benchmarks.serving.setting import Setting
from chaja import connect_async
from chaja.v1 import SearchRequest

LEAST_SHARE = 0.6
MOST_OUTSIDE_MS = 0.3


def measure_throughput(setting: Setting, peaks: Peaks) -> Iterator[Figure]:
    """Yields the rate on all cores beside the encoder's own."""
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
    yield Figure("server, the generator counted out", peak.corrected_rates, "{:,.0f} searches/s")
    yield Figure("that against the encoder", peak.ratios, "{:.3f} ×", at_least=LEAST_SHARE)


def measure_outside(setting: Setting, peaks: Peaks) -> Iterator[Figure]:
    """Yields the CPU time of a search beyond encoding and beyond an empty call, at the same rate."""
    peak = peaks.peak
    answer_bytes = asyncio.run(_answer_bytes(setting))
    with running_empty_server(answer_bytes) as empty:
        calls = [setting.opened(empty, peak.rate, poisson=False) for _ in range(setting.repeats)]
    server = [1e3 * each.cpu_per_answer for each in peak.stretches]
    encoder = [1e3 * each.cpu_seconds for each in peak.bares]
    call = [1e3 * each.cpu_per_answer for each in calls]
    yield Figure("CPU of the server for a search", server, "{:.3f} ms")
    yield Figure("CPU of the encoder alone for a text", encoder, "{:.3f} ms")
    note = f"{answer_bytes:,} bytes of answer, as many calls a second"
    yield Figure("CPU of an empty grpc.aio call", call, "{:.3f} ms", note=note)
    outside = [whole - part - empty for whole, part, empty in zip(server, encoder, call, strict=True)]
    yield Figure("CPU beyond both", outside, "{:.3f} ms", at_most=MOST_OUTSIDE_MS)


async def _answer_bytes(setting: Setting) -> int:
    """Returns the size of the answer to the first query."""
    with setting.server() as server:
        async with connect_async(server.address) as client:
            search: Any = client.search.Search
            response = await search(SearchRequest(query=setting.queries[0].fields["query"]))
            return len(response.SerializeToString())


def measure_limit(setting: Setting, peaks: Peaks) -> Iterator[Figure]:
    """Yields the rate of one process that has nothing to encode."""
    del peaks
    with setting.server() as server:
        stretches = tuple(setting.closed(server, one_query=True) for _ in range(setting.repeats))
    note = "a higher rate needs a second process"
    corrected = Peak(len(setting.cores), (), stretches).corrected_rates
    yield Figure("rate with every vector in the cache", [each.rate for each in stretches], "{:,.0f}/s")
    yield Figure("the same, the generator counted out", corrected, "{:,.0f}/s", note=note)
    costs = [1e3 * each.cpu_per_answer for each in stretches]
    yield Figure("CPU of the server for a search", costs, "{:.3f} ms")
