"""How many searches a second, against what the encoder alone would do."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from typing import Any

from benchmarks.generator.__main__ import only_on
from benchmarks.generator.second_opinion import ask_h2load, h2load_path
from benchmarks.serving.empty_server import running_empty_server
from benchmarks.serving.figure import Figure
from benchmarks.serving.peak import Peak, Peaks
from benchmarks.serving.setting import IN_FLIGHT, NO_CACHE, PATIENT, Setting
from chaja import connect_async
from chaja.v1 import SearchRequest

SEARCH = "/chaja.v1.SearchService/Search"
LEAST_SHARE = 0.6
MOST_OUTSIDE_MS = 0.3


def measure_throughput(setting: Setting, peaks: Peaks) -> Iterator[Figure]:
    """Yields the rate on all cores beside the encoder's own."""
    del setting
    yield from _rates(peaks.peak, at_least=LEAST_SHARE)


def measure_one_core(setting: Setting, peaks: Peaks) -> Iterator[Figure]:
    """Yields the same with a core for the server and another for the generator."""
    del peaks
    cores = setting.cores
    if len(cores) < 2:
        print("  left out: there is one core only", file=sys.stderr)
        return
    bares, stretches = [], []
    with only_on(cores[-1]), setting.server(*NO_CACHE, *PATIENT) as server:
        for _ in range(setting.repeats):
            bares.append(setting.bare(threads=1))
            with only_on(cores[0]):
                stretches.append(setting.closed(server))
    yield from _rates(Peak(1, tuple(bares), tuple(stretches), shared=False), at_least=None)


def measure_outside(setting: Setting, peaks: Peaks) -> Iterator[Figure]:
    """Yields what a search costs the server beyond the encoder and beyond an empty call at the same rate."""
    peak = peaks.peak
    answer_bytes = asyncio.run(_answer_bytes(setting))
    with running_empty_server(answer_bytes) as empty:
        calls = [setting.opened(empty, peak.rate, poisson=False) for _ in range(setting.repeats)]
    server = tuple(1e3 * each.cpu_per_answer for each in peak.stretches)
    encoder = tuple(1e3 * each.cpu_seconds for each in peak.bares)
    call = tuple(1e3 * each.cpu_per_answer for each in calls)
    yield Figure(name="CPU of the server for a search", values=server, written="{:.3f} ms")
    yield Figure(name="CPU of the encoder alone for a text", values=encoder, written="{:.3f} ms")
    note = f"{answer_bytes:,} bytes of answer, as many calls a second"
    yield Figure(name="CPU of an empty grpc.aio call", values=call, written="{:.3f} ms", note=note)
    outside = tuple(whole - part - empty for whole, part, empty in zip(server, encoder, call, strict=True))
    yield Figure(name="CPU beyond both", values=outside, written="{:.3f} ms", at_most=MOST_OUTSIDE_MS)


async def _answer_bytes(setting: Setting) -> int:
    """Returns the size of the answer to the first query."""
    with setting.server() as server:
        async with connect_async(server.address) as client:
            search: Any = client.search.Search
            response = await search(SearchRequest(query=setting.queries[0].text))
            return len(response.SerializeToString())


def measure_h2load(setting: Setting, peaks: Peaks) -> Iterator[Figure]:
    """Yields the rate of one query as both tools see it."""
    del peaks
    if h2load_path() is None:
        print("  left out: h2load is missing; make h2load fetches it", file=sys.stderr)
        return
    message = SearchRequest(query=setting.queries[0].text).SerializeToString()
    theirs, ours, costs = [], [], []
    with setting.server(*NO_CACHE) as server:
        for _ in range(setting.repeats):
            opinion = ask_h2load(server.address, SEARCH, message, seconds=setting.seconds, in_flight=IN_FLIGHT)
            stretch = setting.closed(server, one_query=True)
            theirs.append(opinion.rate)
            ours.append(stretch.rate)
            costs.append(stretch.generator_cores)
    note = f"{IN_FLIGHT} in flight of one query, which share their encodings"
    yield Figure(name="rate by h2load", values=tuple(theirs), written="{:,.0f}/s", note=note)
    yield Figure(name="rate by loadtest", values=tuple(ours), written="{:,.0f}/s", note="not corrected for its CPU")
    yield Figure(name="cores that loadtest took of it", values=tuple(costs), written="{:.2f}")


def measure_limit(setting: Setting, peaks: Peaks) -> Iterator[Figure]:
    """Yields what one process answers when nothing is to be encoded: more than that needs a second one."""
    del peaks
    stretches = []
    with setting.server() as server:
        for _ in range(setting.repeats):
            stretches.append(setting.closed(server, one_query=True))
    peak = Peak(len(setting.cores), (), tuple(stretches))
    costs = tuple(1e3 * each.cpu_per_answer for each in stretches)
    yield Figure(
        name="rate with every vector in the cache", values=tuple(each.rate for each in stretches), written="{:,.0f}/s"
    )
    yield Figure(
        name="the same, the generator counted out",
        values=peak.corrected_rates,
        written="{:,.0f}/s",
        note="more than this needs a second process",
    )
    yield Figure(name="CPU of the server for a search", values=costs, written="{:.3f} ms")


def _rates(peak: Peak, *, at_least: float | None) -> Iterator[Figure]:
    stretches = peak.stretches
    wrong = [float(each.summary.total.sent - each.summary.total.ok.count) for each in stretches]
    yield Figure(name="encoder alone", values=tuple(each.rate for each in peak.bares), written="{:,.0f} texts/s")
    yield Figure(name="server", values=tuple(each.rate for each in stretches), written="{:,.0f} searches/s")
    yield Figure(name="searches that failed", values=tuple(wrong), written="{:,.0f}", at_most=0 if at_least else None)
    for name, values in (
        ("the server took", [each.server_cores for each in stretches]),
        ("the generator took", [each.generator_cores for each in stretches]),
        ("others of the machine took", [each.other_cores for each in stretches]),
    ):
        yield Figure(name=name, values=tuple(values), written="{:.2f} cores")
    yield Figure(name="server, the generator counted out", values=peak.corrected_rates, written="{:,.0f} searches/s")
    yield Figure(name="that against the encoder", values=peak.ratios, written="{:.3f} ×", at_least=at_least)
