import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

import chaja
from chaja.v1 import SearchRequest
from sample.server_process import ServerProcess
from tests.integration import slow_server
from tests.integration.scraping import HANDLED, scrape, scrape_until, total
from tests.integration.serving import sample_server


@pytest.fixture(scope="module")
def slow(tiny_bundle: Path) -> Iterator[ServerProcess]:
    """A server that takes a fifth of a second for a query, with a very long queue wait allowed."""
    wait = ("--encode-workers", "1", "--max-batch-tokens", "10", "--longest-wait-seconds", "3600")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(slow_server.SECONDS_PER_TOKEN, "0.02")
        with sample_server(tiny_bundle, *wait, module=slow_server.MODULE) as server:
            yield server


def request(number: int) -> SearchRequest:
    return SearchRequest(query=f"{number:010}", limit=1)


def test_abandoned_calls_do_not_delay_a_patient_call(slow: ServerProcess) -> None:
    before = scrape(slow.metrics_url)
    with grpc.insecure_channel(slow.address) as channel:
        search: Any = chaja.Client(channel).search.Search
        # The server has not measured its speed yet, so it admits them. All of them would take forty seconds.
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
    late = {"grpc_method": "Search", "grpc_code": "DeadlineExceeded"}
    assert total(samples, HANDLED, **late) > total(before, HANDLED, **late)
    assert total(samples, "chaja_dropped_texts_total") > total(before, "chaja_dropped_texts_total")
