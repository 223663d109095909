import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from hyperframe.frame import SettingsFrame

import chaja
from chaja.v1 import ImportDocumentsRequest, ReloadRequest, SearchRequest, WatchChangesRequest
from sample.server_process import ServerProcess, running_server
from tests.conftest import SAMPLE_CATALOGUE, server_flags
from tests.integration import slow_server
from tests.integration.errors import code_of, error_of
from tests.integration.raw_calls import connected, greeting, headers, message, opened, received_until
from tests.integration.scraping import scrape, scrape_until, status_of, total
from tests.integration.serving import health_of, sample_server, wait_for_line

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
WATCH = "/grpc.health.v1.Health/Watch"
STARTED = "grpc_server_started_total"


def watch(channel: grpc.Channel) -> Any:
    stub: Any = health_pb2_grpc.HealthStub(channel)
    return stub.Watch(health_pb2.HealthCheckRequest(), timeout=60)


def probes(server: ServerProcess) -> tuple[int, int]:
    """Returns the HTTP statuses of the probes of liveness and readiness."""
    return status_of(server.metrics_url, "/healthz"), status_of(server.metrics_url, "/readyz")


@contextlib.contextmanager
def connected_server(bundle: Path, *flags: str, module: str = "server") -> Iterator[tuple[ServerProcess, grpc.Channel]]:
    with sample_server(bundle, *flags, module=module) as server, grpc.insecure_channel(server.address) as channel:
        yield server, channel


@contextlib.contextmanager
def hanging_server(bundle: Path, *flags: str) -> Iterator[ServerProcess]:
    """Runs a server with a worker that never finishes."""
    with connected_server(bundle, *flags, module=slow_server.MODULE) as (server, channel):
        search: Any = chaja.Client(channel).search.Search
        before = total(scrape(server.metrics_url), "chaja_batch_texts_count")
        hanging = search.future(SearchRequest(query=slow_server.HANG), timeout=600)
        scrape_until(server.metrics_url, lambda found: total(found, "chaja_batch_texts_count") == before + 1)
        yield server
        assert hanging.exception(timeout=20) is not None


def test_calls_are_accepted_while_balancers_see_not_serving(tiny_bundle: Path) -> None:
    flags = ("--drain-wait-seconds", "1.5", "--drain-seconds", "3600")
    with connected_server(tiny_bundle, *flags) as (server, channel):
        search: Any = chaja.Client(channel).search.Search
        statuses = watch(channel)
        assert next(statuses).status == SERVING
        assert probes(server) == (200, 200)
        signalled = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert next(statuses).status == NOT_SERVING
        assert probes(server) == (200, 503)
        answered = 0
        while time.monotonic() < signalled + 1.0:
            assert search(SearchRequest(query=f"{answered}", limit=2), timeout=10).hits
            answered += 1
        with grpc.insecure_channel(server.address, options=[("new", 1)]) as late:  # New connections are accepted, too.
            assert chaja.Client(late).search.Search(SearchRequest(query="late", limit=2), timeout=10).hits
        assert answered > 1
        assert list(statuses) == [], "the watch ends at once, and does not delay the shutdown"
        assert server.process.wait(20) == 0


def test_calls_in_flight_finish_and_later_ones_are_rejected(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(slow_server.SECONDS_PER_TOKEN, "0.1")
    with connected_server(tiny_bundle, "--encode-workers", "1", module=slow_server.MODULE) as (server, channel):
        stub: Any = chaja.Client(channel).search
        queue: SimpleQueue[SearchRequest | None] = SimpleQueue()
        stream = stub.SearchStream(iter(queue.get, None), timeout=60)
        queue.put(SearchRequest(query="가나"))
        assert next(stream).response.hits
        queue.put(SearchRequest(query="다라마바사"))
        calls = [stub.Search.future(SearchRequest(query=f"{number:05}", limit=2), timeout=60) for number in range(3)]
        scrape_until(server.metrics_url, lambda found: total(found, STARTED) == 4)
        server.process.send_signal(signal.SIGTERM)
        wait_for_line(server, "draining")
        for call in calls:
            assert len(call.result(60).hits) == 2
        assert len(next(stream).response.hits) == 10, "its query was read before the stop"
        with pytest.raises(grpc.RpcError, match="UNAVAILABLE"):
            next(stream)
        assert server.process.wait(20) == 0


def test_idle_streams_do_not_hold_a_stop(tiny_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    flags = ("--drain-seconds", "3600", "--data", str(tmp_path / "data"))
    with connected_server(tiny_bundle, *flags) as (server, channel):
        client: Any = chaja.Client(channel)
        reflection: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
        requests: list[SimpleQueue[Any]] = [SimpleQueue() for _ in range(3)]
        searches, imports, asked = (iter(each.get, None) for each in requests)
        streams = [
            client.search.SearchStream(searches),
            client.catalog.ImportDocuments(imports),
            reflection.ServerReflectionInfo(asked),
            client.catalog.WatchChanges(WatchChangesRequest()),
        ]
        first = [
            SearchRequest(query="가나"),
            ImportDocumentsRequest(import_id="list"),
            reflection_pb2.ServerReflectionRequest(list_services=""),
        ]
        for queue, request in zip(requests, first, strict=True):
            queue.put(request)
        for stream in streams:
            next(stream)
        with connected(server.address, opened("/chaja.v1.SearchService/Search")):  # Its message never arrives.
            scrape_until(server.metrics_url, lambda found: total(found, STARTED) == 4)
            server.process.send_signal(signal.SIGTERM)
            assert server.process.wait(10) == 0
        assert [code_of(list, stream) for stream in streams] == [grpc.StatusCode.UNAVAILABLE] * 4
        for queue in requests:
            queue.put(None)


def test_an_idle_connection_does_not_hold_a_stop(tiny_bundle: Path) -> None:
    with connected_server(tiny_bundle, "--drain-seconds", "3600") as (server, _), contextlib.ExitStack() as stack:
        for data in (b"", greeting(), greeting() + headers("/grpc.health.v1.Health/Check") + message(b"")):
            stack.enter_context(connected(server.address, data))
        stack.enter_context(connected(server.metrics_url.split("/")[2], b"GET /metrics"))
        time.sleep(0.2)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(10) == 0


def test_a_client_that_does_not_read_its_answers_does_not_hold_a_stop(tiny_bundle: Path) -> None:
    with connected_server(tiny_bundle, "--drain-seconds", "3600") as (server, _), contextlib.ExitStack() as stack:
        request = message(SearchRequest(query="송금", limit=50).SerializeToString(), ends=False)
        for method in ("Search", "SearchStream"):
            no_window = opened(f"/chaja.v1.SearchService/{method}", {SettingsFrame.INITIAL_WINDOW_SIZE: 0})
            stack.enter_context(connected(server.address, no_window + request))
        scrape_until(server.metrics_url, lambda found: total(found, "chaja_batch_texts_count") >= 1)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(30) == 0


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_stops_at_once_even_while_a_call_hangs(tiny_bundle: Path, second: signal.Signals) -> None:
    with hanging_server(tiny_bundle, "--drain-seconds", "3600") as server:
        server.process.send_signal(signal.SIGTERM)
        wait_for_line(server, "draining")
        server.process.send_signal(second)
        assert server.process.wait(10) == 128 + second
    assert any("second signal" in line for line in server.lines)


@pytest.mark.slow
def test_a_call_that_hangs_does_not_outlive_the_drain(tiny_bundle: Path) -> None:
    with hanging_server(tiny_bundle, "--drain-seconds", "0.5") as server:
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(20) == 0
    assert any("a thread is still busy" in line for line in server.lines)


def test_a_watcher_that_does_not_read_delays_no_one_else(tiny_bundle: Path) -> None:
    with connected_server(tiny_bundle, "--drain-seconds", "0.5") as (server, channel):
        no_window = opened(WATCH, {SettingsFrame.INITIAL_WINDOW_SIZE: 0}) + message(b"")
        with connected(server.address, no_window) as deaf:
            received_until(deaf, b"application/grpc")  # The headers of the answer, which need no window.
            statuses = watch(channel)
            assert next(statuses).status == SERVING
            server.process.send_signal(signal.SIGTERM)
            assert next(statuses).status == NOT_SERVING
            assert server.process.wait(15) == 0


def test_an_old_connection_is_replaced_without_a_failed_call(tiny_bundle: Path) -> None:
    with connected_server(tiny_bundle, "--max-connection-age-seconds", "0.3") as (_, channel):
        ready: list[grpc.ChannelConnectivity] = []
        record: Callable[[grpc.ChannelConnectivity], None] = ready.append
        channel.subscribe(record)
        search: Any = chaja.Client(channel).search.Search
        failed: list[grpc.RpcError] = []

        def search_on() -> None:
            number = 0
            while ready.count(grpc.ChannelConnectivity.READY) < 4 and time.monotonic() < ends:
                try:
                    search(SearchRequest(query=f"{number}", limit=1), timeout=20)
                except grpc.RpcError as error:
                    failed.append(error)
                number += 1

        ends = time.monotonic() + 30
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda _: search_on(), range(3)))
        channel.unsubscribe(record)
        assert not failed
        assert ready.count(grpc.ChannelConnectivity.READY) >= 4, "it was connected again and again"


def test_a_dead_worker_makes_health_not_serving(tiny_bundle: Path) -> None:
    flags = server_flags(tiny_bundle, SAMPLE_CATALOGUE, "--encode-workers", "1")
    with (  # It logs the traceback of the worker.
        running_server(flags, module=slow_server.MODULE) as server,
        grpc.insecure_channel(server.address) as channel,
    ):
        search: Any = chaja.Client(channel).search.Search
        statuses = watch(channel)
        assert next(statuses).status == SERVING
        error = error_of(search, SearchRequest(query=slow_server.DIE), timeout=20)
        assert error.code() == grpc.StatusCode.UNAVAILABLE
        assert "a worker of the server died" in str(error.details())
        assert next(statuses).status == NOT_SERVING
        assert health_of(server.address, "chaja.v1.SearchService") == NOT_SERVING
        assert health_of(server.address, "liveness") == NOT_SERVING
        assert probes(server) == (503, 503)
        # It fails at once, not at its deadline.
        assert code_of(search, SearchRequest(query="another"), timeout=20) == grpc.StatusCode.UNAVAILABLE
        chaja.Client(channel).admin.Reload(ReloadRequest(), timeout=60)  # The new engine has new workers.
        assert next(statuses).status == SERVING
        assert probes(server) == (200, 200)
        assert search(SearchRequest(query="another"), timeout=20).hits
        assert server.stop() == 0
    assert any("CRITICAL" in line and "a worker died" in line for line in server.lines)
