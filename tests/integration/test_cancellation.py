import contextlib
import itertools
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
from tests.integration.raw_calls import connected, message, opened
from tests.integration.scraping import HANDLED, Samples, scrape, scrape_until, total
from tests.integration.serving import sample_server
from tests.integration.vitals import DETECTION_SECONDS, MEGABYTE, open_sockets, resident_bytes, wait_for_open_sockets


@pytest.fixture(scope="module")
def server(tiny_bundle: Path) -> Iterator[ServerProcess]:
    with sample_server(tiny_bundle) as server:
        yield server
        assert not [line for line in server.lines if " ERROR " in line]


@pytest.fixture(autouse=True)
def nothing_is_left(server: ServerProcess) -> Iterator[None]:
    """After each test, all calls have ended, no text is queued, and other clients are served."""
    yield
    scrape_until(server.metrics_url, lambda found: all_ended(found) and not total(found, "chaja_queue_texts"))
    with chaja.connect(server.address) as client:
        assert len(client.search.Search(SearchRequest(query="송금", limit=3)).hits) == 3


def all_ended(samples: Samples) -> bool:
    return total(samples, HANDLED) == total(samples, "grpc_server_started_total")


def canceled(samples: Samples) -> float:
    return total(samples, HANDLED, grpc_method="SearchStream", grpc_code="Canceled")


def endless(pause: float = 0.0) -> Iterator[SearchRequest]:
    for number in itertools.count():
        yield SearchRequest(query=f"끝없는 {number}", limit=100)
        time.sleep(pause)


def test_two_thousand_cancelled_calls_leave_the_queue_empty(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(slow_server.SECONDS_PER_TOKEN, "0.001")  # Otherwise a fast machine might answer all of them.
    slow = sample_server(tiny_bundle, module=slow_server.MODULE)
    with slow as server, chaja.connect(server.address) as client:
        memory = resident_bytes(server.process.pid)
        search: Any = client.search.Search
        calls = [search.future(SearchRequest(query=f"{number} 번째", limit=100)) for number in range(2000)]
        for call in calls:
            call.cancel()
        answered = sum(not call.cancelled() and call.exception(timeout=30) is None for call in calls)
        assert answered < 2000
        scrape_until(server.metrics_url, lambda found: not total(found, "chaja_queue_texts"))
        assert client.search.Search(SearchRequest(query="송금", limit=3), timeout=30).hits
        assert resident_bytes(server.process.pid) - memory < 100 * MEGABYTE


@pytest.mark.parametrize("how", ["cancels", "closes its channel"])
def test_abandoned_streams_are_counted_as_cancelled(server: ServerProcess, how: str) -> None:
    before = canceled(scrape(server.metrics_url))
    channels = [grpc.insecure_channel(server.address, options=[("c", number)]) for number in range(5)]
    streams = [
        chaja.Client(channel).search.SearchStream(endless(0.02), timeout=60) for channel in channels for _ in (1, 2)
    ]
    for stream in streams:
        for _ in range(3):
            assert next(stream).response.hits
    for stream in streams if how == "cancels" else ():
        stream.cancel()
    for channel in channels:
        channel.close()
    scrape_until(server.metrics_url, lambda found: canceled(found) == before + 10)


def test_the_memory_for_a_client_that_never_reads_is_bounded(server: ServerProcess) -> None:
    """The server stops reading from the stream, so the memory for it is bounded."""
    memory, sockets = resident_bytes(server.process.pid), open_sockets(server.process.pid)
    data = message(SearchRequest(query="송금" * 20, limit=100).SerializeToString(), ends=False)
    with connected(server.address, opened("/chaja.v1.SearchService/SearchStream")) as client:
        client.settimeout(1.0)
        sent = 0
        # This client ignores windows: the server may end the stream or the connection, but must not buffer the data.
        with contextlib.suppress(OSError):
            while sent < 64 * MEGABYTE:
                sent += client.send(data * 10)
        with chaja.connect(server.address) as other:
            for number in range(20):
                assert other.search.Search(SearchRequest(query=f"other {number}", limit=3)).hits
        assert resident_bytes(server.process.pid) - memory < 60 * MEGABYTE
    # gRPC does not read from this connection, so only a keepalive ping detects that the client has left.
    scrape_until(server.metrics_url, all_ended, seconds=DETECTION_SECONDS)
    wait_for_open_sockets(server.process.pid, sockets)
