"""The default model: its size, its memory, and its hits. One file, so that one process starts its server."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

import chaja
from chaja.v1 import SearchRequest
from loadtest.reference import get_reference_answers
from loadtest.requests.queries import read_queries
from sample.server_process import ServerProcess
from server.encoding.native.library import cpu_can_run
from tests.conftest import SAMPLE_QUERIES
from tests.integration.vitals import MEGABYTE, resident_bytes
from tests.loadtest.integration.attacks import make_plan, run_attack

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def test_a_bundle_of_the_default_model_is_small(default_bundle: Path) -> None:
    size = sum(path.stat().st_size for path in default_bundle.rglob("*") if path.is_file())
    assert size <= 68 * MEGABYTE


def test_a_server_of_the_default_model_stays_within_350_megabytes(default_server: ServerProcess) -> None:
    with chaja.connect(default_server.address) as client:
        for number in range(100):
            client.search.Search(SearchRequest(query="where is my card " * (1 + number % 20)))
    assert resident_bytes(default_server.process.pid, peak=True) <= 350 * MEGABYTE


@pytest.mark.skipif(not cpu_can_run(), reason="the CPU has no AVX-512 with VNNI")
def test_the_native_encoder_is_reported(default_server: ServerProcess) -> None:
    assert any("is verified on this CPU (native)" in line for line in default_server.lines)


def test_the_default_model_finds_documents_by_english_meaning(default_server: ServerProcess) -> None:
    expected = {
        "my purse was stolen with all my cards": "report-lost-card",
        "split the dinner with my friends": "split-bill",
        "exchange some money for my trip to Japan": "currency-exchange",
    }
    with chaja.connect(default_server.address) as client:
        for query, document_id in expected.items():
            found = [hit.document_id for hit in client.search.Search(SearchRequest(query=query, limit=5)).hits]
            assert document_id in found, (query, found)


def test_a_thousand_concurrent_searches_give_the_hits_of_sequential_ones(
    default_server: ServerProcess, tmp_path: Path
) -> None:
    queries = tuple(read_queries(SAMPLE_QUERIES))
    plan = make_plan(default_server.address, queries=queries, in_flight=1000, count=1000, deadline_seconds=60)
    plan = replace(plan, reference_answers=asyncio.run(get_reference_answers(plan)))
    records = run_attack(tmp_path / "results.bin", plan)
    assert records["same"].tolist() == [1] * 1000
    assert records["batch_texts"].mean() > 2, "the queries did not share batches"
