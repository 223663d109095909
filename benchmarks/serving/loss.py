"""Nothing lost, nothing wrong: many calls while bundles are swapped and the server is restarted."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from benchmarks.serving.changes import CHANGES, Changing
from benchmarks.serving.figure import Figure
from benchmarks.serving.peak import Peaks
from benchmarks.serving.setting import Setting
from chaja import AsyncClient, connect_async
from chaja.v1 import SearchRequest

CALLERS = 50
DEADLINE_SECONDS = 30.0
LIMIT = 5
MOST_TEXTS = 2000
"""Each of them is asked at rest first, one at a time."""

Answer = tuple[tuple[str, float], ...]


@dataclass
class Tally:
    """What became of the calls.

    Attributes:
        sent: How many there were.
        failed: Those that failed, by what was said.
        wrong: Answers other than those at rest.
        longest_seconds: The longest call.
    """

    sent: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    wrong: int = 0
    longest_seconds: float = 0.0


def measure_loss(setting: Setting, peaks: Peaks) -> Iterator[Figure]:
    """Yields what was lost."""
    del peaks
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        tally, swapped, restarted = asyncio.run(_measure(setting, Path(scratch)))
    took = (time.monotonic() - began,)
    yield Figure(
        name="searches",
        values=(tally.sent,),
        written="{:,.0f}",
        at_least=setting.requests,
        note=f"{CALLERS} in flight, as many as are made until all is done",
    )
    yield Figure(name="swaps of the bundle", values=(swapped,), written="{:.0f}", at_least=5, note=", ".join(CHANGES))
    yield Figure(name="restarts", values=(restarted,), written="{:.0f}", at_least=2)
    failed = float(tally.failed.total())
    said = "; ".join(f"{count} × {message}" for message, count in tally.failed.most_common(3))
    yield Figure(name="failed", values=(failed,), written="{:.0f}", at_most=0, note=said)
    yield Figure(name="wrong", values=(tally.wrong,), written="{:.0f}", at_most=0, note="against the answers at rest")
    yield Figure(name="longest search", values=(tally.longest_seconds,), written="{:.2f} s")
    yield Figure(name="all of it took", values=took, written="{:.1f} s")


async def _measure(setting: Setting, scratch: Path) -> tuple[Tally, int, int]:
    bundle = scratch / "bundle"
    shutil.copytree(setting.bundle, bundle)
    tally = Tally()
    texts = [query.text for query in setting.queries]
    changing = Changing(setting, bundle)
    async with changing, _client(changing.address) as client:
        expected = {text: await _search(client, text) for text in texts[:MOST_TEXTS]}
        known = list(expected)
        over = asyncio.Event()

        async def call() -> None:
            while tally.sent < setting.requests or not over.is_set():
                text = known[tally.sent % len(known)]
                tally.sent += 1
                sent = time.monotonic()
                try:
                    tally.wrong += await _search(client, text) != expected[text]
                except grpc.aio.AioRpcError as error:
                    tally.failed[f"{error.code().name}: {error.details()}"] += 1
                tally.longest_seconds = max(tally.longest_seconds, time.monotonic() - sent)

        async def change() -> None:
            try:
                for step in CHANGES:
                    await changing.make(step)
            finally:
                over.set()  # Or the callers would go on for ever after a failure.

        await asyncio.gather(change(), *(call() for _ in range(CALLERS)))
    return tally, changing.swapped, changing.restarted


@contextlib.asynccontextmanager
async def _client(address: str) -> AsyncIterator[AsyncClient]:
    async with connect_async(address) as client:
        yield client


async def _search(client: AsyncClient, text: str) -> Answer:
    """Returns ids and scores of what was found."""
    search: Any = client.search.Search
    response = await search(SearchRequest(query=text, limit=LIMIT), timeout=DEADLINE_SECONDS, wait_for_ready=True)
    return tuple((hit.document_id, hit.score) for hit in response.hits)
