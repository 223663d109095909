"""Bundles are replaced during searches: no call fails, no hit is lost, and the memory is freed."""

import asyncio
from pathlib import Path
from typing import Any

from benchmarks.serving.swaps import Swapping, swap_under_searches, two_bundles
from chaja import connect_async
from chaja.v1 import BatchSearchRequest, SearchRequest
from sample.server_process import ServerProcess, running_server
from tests.conftest import server_flags
from tests.tiny_bundle import make_bundle

SWAPS = 8
TEXTS = ["find", "찾아"]
MOST_GROWTH_BYTES = 60e6
"""Less than one model takes, so that the test detects a model that is not freed."""


async def swap_under_batches(server: ServerProcess, link: Path, batches: list[set[tuple[str, ...]]]) -> Swapping:
    """Swaps during searches and slow batches; adds the different lists of hits, as ids, of each batch."""
    async with connect_async(server.address) as client:
        search: Any = client.search.BatchSearch

        async def batch() -> None:
            while True:
                requests = [SearchRequest(query="find", limit=50)] * 100
                answer = await search(BatchSearchRequest(requests=requests), timeout=60)
                batches.append({tuple(hit.document_id for hit in each.hits) for each in answer.responses})

        batching = asyncio.create_task(batch())
        result = await swap_under_searches(server.address, server.process.pid, link, TEXTS, swaps=SWAPS)
        batching.cancel()
        await asyncio.wait([batching])
        assert batching.cancelled(), batching.exception()
    return result


def test_reloads_lose_no_search_and_free_their_memory(tmp_path: Path) -> None:
    link = two_bundles(make_bundle(tmp_path / "made", dimension=2048), tmp_path)
    catalogue = tmp_path / "catalogue.jsonl"
    lines = [f'{{"id": "{number}", "title": "find {number}"}}\n' for number in range(50)]
    catalogue.write_text("".join(lines), encoding="utf-8")
    batches: list[set[tuple[str, ...]]] = []
    with running_server(server_flags(link, catalogue, "--watch-seconds", "0")) as server:
        result = asyncio.run(swap_under_batches(server, link, batches))
        assert not [line for line in server.lines if " ERROR " in line]
    assert len(result.swap_seconds) == SWAPS
    assert result.refused == 0
    assert not result.failed
    assert {text: len(answers) for text, answers in result.answers.items()} == dict.fromkeys(TEXTS, 1)
    assert len(batches) > SWAPS
    ((ids,),) = {frozenset(batch) for batch in batches}
    assert len(set(ids)) == 50, "every batch has every document"
    assert result.memory_bytes[-1] - result.memory_bytes[1] < MOST_GROWTH_BYTES
