"""Measures search latency while the bundle is swapped repeatedly, and the memory afterwards.

Searches are sent at a fixed rate in an open loop, and their time counts from the planned send. The two bundles are
copies with different revisions: each swap loads a whole model, and encodes the documents whose vectors were deleted in
the meantime.
"""

import asyncio
import itertools
import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import msgspec
import numpy as np

from benchmarks.serving.figure import Figure
from benchmarks.serving.peak import Peaks
from benchmarks.serving.process import memory_of
from benchmarks.serving.setting import NO_CACHE, Setting
from chaja import AsyncClient, connect_async
from chaja.v1 import AdminServiceStub, ReloadRequest, SearchRequest
from loadtest.codes import REFUSED
from server.encoding.manifest import MANIFEST_FILE, read_manifest

RATE = 50
DEADLINE_SECONDS = 10.0
PATIENCE_SECONDS = 300.0
LONGEST_SECONDS = 0.15
MOST_GROWTH = 1.3


@dataclass
class Swapping:
    """Results of the searches, and the server's memory.

    Attributes:
        calls: The planned second of each search, and its duration from the planned time.
        refused: Number of refused searches.
        failed: Errors of all other failed searches.
        memory_bytes: Resident memory after each swap.
        swap_seconds: Duration of each swap.
        answers: The different lists of hits, as ids, that each query got.
    """

    calls: list[tuple[int, float]] = field(default_factory=list)
    refused: int = 0
    failed: list[str] = field(default_factory=list)
    memory_bytes: list[int] = field(default_factory=list)
    swap_seconds: list[float] = field(default_factory=list)
    answers: defaultdict[str, set[tuple[str, ...]]] = field(default_factory=lambda: defaultdict(set))

    def worst_p99_seconds(self) -> float:
        """Returns the highest 99th percentile of any second."""
        by_second = itertools.groupby(sorted(self.calls), key=lambda call: call[0])
        return max(float(np.percentile([took for _, took in calls], 99)) for _, calls in by_second)


def measure_swaps(setting: Setting, peaks: Peaks) -> Iterator[Figure]:
    """Yields refusals, failures and latency of the searches, and the memory."""
    del peaks
    with tempfile.TemporaryDirectory() as scratch:
        bundle = two_bundles(setting.bundle, Path(scratch))
        with setting.server(*NO_CACHE, "--bundle", str(bundle), "--watch-seconds", "0") as server:
            texts = [query.fields["query"] for query in setting.queries]
            result = asyncio.run(swap_under_searches(server.address, server.process.pid, bundle, texts, setting.swaps))
    second, last = result.memory_bytes[1], result.memory_bytes[-1]
    worst, errors = 1e3 * result.worst_p99_seconds(), "; ".join(dict.fromkeys(result.failed))
    yield Figure("swaps", [len(result.swap_seconds)], "{:.0f}", at_least=setting.swaps)
    yield Figure("a swap", result.swap_seconds, "{:.1f} s")
    note = f"of {len(result.calls):,} at {RATE} a second"
    yield Figure("refused", [result.refused], "{:.0f}", at_most=0, note=note)
    yield Figure("failed", [len(result.failed)], "{:.0f}", at_most=0, note=errors)
    yield Figure("p99 of the worst second", [worst], "{:.0f} ms", at_most=1e3 * LONGEST_SECONDS)
    yield Figure("memory after the second swap", [second / 1e6], "{:,.0f} MB")
    yield Figure("memory after the last swap", [last / 1e6], "{:,.0f} MB")
    yield Figure("memory after the last swap, against the second", [last / second], "{:.2f} ×", at_most=MOST_GROWTH)


def two_bundles(source: Path, scratch: Path) -> Path:
    """Copies a bundle twice with different revisions; returns a link to one copy, for `swap` to change."""
    manifest = read_manifest(source)
    for name, floor in (("one", manifest.golden_cosine_floor), ("other", manifest.golden_cosine_floor - 1e-4)):
        shutil.copytree(source, scratch / name)
        changed = msgspec.structs.replace(manifest, golden_cosine_floor=round(floor, 6)).sealed()
        (scratch / name / MANIFEST_FILE).write_bytes(msgspec.json.encode(changed))
    link = scratch / "bundle"
    link.symlink_to("one")
    return link


def swap(link: Path) -> None:
    """Points the link of `two_bundles` to the other copy."""
    turned = link.with_name("turned")
    turned.symlink_to("other" if link.readlink() == Path("one") else "one")
    turned.replace(link)


async def swap_under_searches(address: str, pid: int, bundle: Path, texts: list[str], swaps: int) -> Swapping:
    """Swaps the bundle `swaps` times while searches are sent."""
    result = Swapping()
    async with connect_async(address) as client, grpc.aio.insecure_channel(address) as channel:
        reload: Any = AdminServiceStub(channel).Reload
        sending = asyncio.create_task(_send(client, texts, result))
        try:
            for _ in range(swaps):
                swap(bundle)
                began = time.monotonic()
                await reload(ReloadRequest(), timeout=PATIENCE_SECONDS)
                result.swap_seconds.append(time.monotonic() - began)
                await asyncio.sleep(1)  # Long enough for the old model to be freed.
                result.memory_bytes.append(memory_of(pid))
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
    return result


async def _send(client: AsyncClient, texts: list[str], result: Swapping) -> None:
    search: Any = client.search.Search
    began = time.monotonic()

    async def call(number: int, due: float) -> None:
        text = texts[number % len(texts)]
        try:
            response = await search(SearchRequest(query=text), timeout=DEADLINE_SECONDS)
            result.answers[text].add(tuple(hit.document_id for hit in response.hits))
        except grpc.aio.AioRpcError as error:
            if error.code().value[0] == REFUSED:
                result.refused += 1
            else:
                result.failed.append(f"{error.code().name}: {error.details()}")
        result.calls.append((int(due - began), time.monotonic() - due))

    async with asyncio.TaskGroup() as calls:
        for number in itertools.count():
            due = began + number / RATE
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            calls.create_task(call(number, due))
