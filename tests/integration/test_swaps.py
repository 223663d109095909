"""Bundles are replaced during searches: no call fails, and the memory is freed."""

import asyncio
from pathlib import Path

from benchmarks.serving.swaps import swap_under_searches, two_bundles
from sample.server_process import running_server
from tests.conftest import server_flags
from tests.tiny_bundle import make_bundle

SWAPS = 8
MOST_GROWTH_BYTES = 60e6
"""Of a model that takes 90 MB."""


def test_reloads_lose_no_search_and_free_their_memory(tmp_path: Path) -> None:
    link = two_bundles(make_bundle(tmp_path / "made", dimension=2048), tmp_path)
    catalogue = tmp_path / "catalogue.jsonl"
    catalogue.write_text('{"id": "a", "title": "find"}\n', encoding="utf-8")
    with running_server(server_flags(link, catalogue, "--watch-seconds", "0")) as server:
        result = asyncio.run(
            swap_under_searches(server.address, server.process.pid, link, ["find", "찾아"], swaps=SWAPS)
        )
        assert not [line for line in server.lines if " ERROR " in line]
    assert len(result.swap_seconds) == SWAPS
    assert result.refused == 0
    assert not result.failed
    assert len(result.calls) > SWAPS
    assert result.memory_bytes[-1] - result.memory_bytes[1] < MOST_GROWTH_BYTES
