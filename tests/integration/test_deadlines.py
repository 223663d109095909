import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

import chaja
from chaja.v1 import SearchRequest
from sample.server_process import ServerProcess, running_server
from server.errors import DeadlinePassed
from server.metrics import Metrics
from server.ranking.options import SearchOptions
from tests.conftest import SAMPLE_CATALOGUE, server_flags
from tests.integration import slow_server
from tests.integration.scraping import HANDLED, scrape, scrape_until, total
from tests.server.making import WatchedBundle, make_job, make_pipeline, until

ONE = SearchOptions(1)
CODES = ("DeadlineExceeded", "Canceled", "ResourceExhausted", "OK")


@pytest.fixture(scope="module")
def slow(tiny_bundle: Path) -> Iterator[ServerProcess]:
    """A server that takes a fifth of a second for a query, and lets a call wait for very long."""
    wait = ("--encode-workers", "1", "--max-batch-tokens", "10", "--longest-wait-seconds", "3600")
    flags = server_flags(tiny_bundle, SAMPLE_CATALOGUE, *wait)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(slow_server.SECONDS_PER_TOKEN, "0.02")
        with running_server(flags, module=slow_server.MODULE) as server:
            yield server


def request(number: int) -> SearchRequest:
    return SearchRequest(query=f"{number:010}", limit=1)


def codes(server: ServerProcess) -> dict[str, float]:
    samples = scrape(server.metrics_url)
    return {code: total(samples, HANDLED, grpc_method="Search", grpc_code=code) for code in CODES}


async def test_the_encoder_never_sees_what_came_too_late(tiny_bundle: Path) -> None:
    bundle, metrics = WatchedBundle(tiny_bundle), Metrics([])
    pipeline = make_pipeline(bundle, metrics=metrics, max_batch_tokens=8)
    bundle.gate.clear()
    first = asyncio.create_task(pipeline.run([make_job("patient", options=ONE)]))
    await until(lambda: bundle.batches)
    late = [
        asyncio.create_task(pipeline.run([make_job(f"late{number}", options=ONE, seconds=0.05)]))
        for number in range(50)
    ]
    gone = [asyncio.create_task(pipeline.run([make_job(f"gone{number}", options=ONE)])) for number in range(50)]
    last = asyncio.create_task(pipeline.run([make_job("also here", options=ONE)]))
    await until(lambda: len(pipeline) == 101)
    for task in gone:
        task.cancel()
    await asyncio.sleep(0.1)
    bundle.gate.set()
    assert await first == await last == [None]
    for outcome in await asyncio.gather(*late):
        assert [type(each) for each in outcome] == [DeadlinePassed]
    assert all(isinstance(each, asyncio.CancelledError) for each in await asyncio.gather(*gone, return_exceptions=True))
    encoded = [ids for batch in bundle.batches for ids in batch]
    assert encoded == [bundle.ids_of("patient"), bundle.ids_of("also here")]
    assert metrics.dropped_texts._value.get() == 100
    await asyncio.to_thread(pipeline.close)


def test_calls_that_nobody_waits_for_cost_the_patient_one_nothing(slow: ServerProcess) -> None:
    before, dropped = codes(slow), total(scrape(slow.metrics_url), "chaja_dropped_texts_total")
    with grpc.insecure_channel(slow.address) as channel:
        search: Any = chaja.Client(channel).search.Search
        # The server does not know yet how slow it is: it lets them in. All of them would take forty seconds.
        hasty = [search.future(request(number), timeout=0.15) for number in range(200)]
        errors = [call.exception(timeout=30) for call in hasty]
        started = time.monotonic()
        assert search(request(999), timeout=60).hits
        took = time.monotonic() - started
    failed = [error.code() for error in errors if error is not None]
    assert len(failed) >= 190
    assert set(failed) <= {grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.RESOURCE_EXHAUSTED}
    assert took < 15, "it waited for the others"
    samples = scrape_until(
        slow.metrics_url,
        lambda found: (
            total(found, HANDLED, grpc_method="Search")
            == total(found, "grpc_server_started_total", grpc_method="Search")
        ),
    )
    assert total(samples, HANDLED, grpc_method="Search", grpc_code="DeadlineExceeded") > before["DeadlineExceeded"]
    assert total(samples, "chaja_dropped_texts_total") > dropped


def test_a_call_that_its_client_gives_up_is_counted_as_canceled(slow: ServerProcess) -> None:
    before = codes(slow)
    with grpc.insecure_channel(slow.address) as channel:
        search: Any = chaja.Client(channel).search.Search
        started = total(scrape(slow.metrics_url), "grpc_server_started_total", grpc_method="Search")
        calls = [search.future(request(2000 + number), timeout=60) for number in range(20)]
        scrape_until(
            slow.metrics_url,
            lambda found: total(found, "grpc_server_started_total", grpc_method="Search") == started + 20,
        )
        for call in calls:
            call.cancel()
        assert search(request(3000), timeout=60).hits
        scrape_until(
            slow.metrics_url,
            lambda found: total(found, HANDLED, grpc_method="Search", grpc_code="Canceled") >= before["Canceled"] + 15,
        )
