"""Are the hits the same when everybody searches at once?

Every query is searched alone first; then many searches run at the same time, and
each must come back with the very hits, in order and with their scores, that it had
alone.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from hdrh.histogram import HdrHistogram

import chaja
from chaja.v1 import SearchRequest, SearchResponse

DEADLINE_SECONDS = 60.0
LONGEST_MICROSECONDS = 120_000_000


@dataclass
class Phase:
    """What the client saw while it searched in one way."""

    name: str
    searches: int = 0
    seconds: float = 0.0
    latency: HdrHistogram = field(default_factory=lambda: HdrHistogram(1, LONGEST_MICROSECONDS, 3))
    batch_texts: int = 0

    def row(self) -> str:
        """Returns the phase as a row of the table that `HEADER` heads."""
        p50, p99, longest = (self.latency.get_value_at_percentile(p) / 1000 for p in (50, 99, 100))
        return (
            f"{self.name:14} {self.searches:9} {self.searches / self.seconds:9.0f} "
            f"{p50:9.1f} {p99:9.1f} {longest:9.1f} {self.batch_texts / self.searches:12.1f}"
        )


HEADER = "               searches  per second   p50 ms    p99 ms    max ms  batch texts"


@dataclass
class Outcome:
    """Both phases, and the queries whose hits were not the same."""

    alone: Phase
    together: Phase
    different: list[str]


async def check_consistency(target: str, queries: Sequence[str], *, concurrency: int, limit: int) -> Outcome:
    """Searches `concurrency` times at once and compares with the same searches one at a time.

    Args:
        target: The server.
        queries: What to search; they are repeated until there are enough.
        concurrency: Number of searches at the same time.
        limit: Hits of each search.

    Raises:
        grpc.aio.AioRpcError: A search failed.
    """
    alone, together = Phase("one at a time"), Phase("all at once")
    async with chaja.connect_async(target) as client:

        async def search(query: str, phase: Phase) -> list[tuple[str, float]]:
            started = time.perf_counter()
            response: SearchResponse = await client.search.Search(
                SearchRequest(query=query, limit=limit), timeout=DEADLINE_SECONDS
            )
            phase.latency.record_value(max(1, round((time.perf_counter() - started) * 1e6)))
            phase.searches += 1
            phase.batch_texts += response.timings.batch_texts
            return [(hit.document_id, hit.score) for hit in response.hits]

        started = time.perf_counter()
        expected = {query: await search(query, alone) for query in dict.fromkeys(queries)}
        alone.seconds = time.perf_counter() - started
        many = [queries[number % len(queries)] for number in range(concurrency)]
        started = time.perf_counter()
        answers = await asyncio.gather(*(search(query, together) for query in many))
        together.seconds = time.perf_counter() - started
    different = [query for query, hits in zip(many, answers, strict=True) if hits != expected[query]]
    return Outcome(alone, together, different)
