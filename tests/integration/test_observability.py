import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

import chaja
from chaja.v1 import AttributeValue, BatchSearchRequest, EncodeRequest, Equals, Filter, SearchRequest
from sample.server_process import ServerProcess, running_server
from server.rpc.server import SERVICES
from server.stages import STAGES
from tests.conftest import SAMPLE_CATALOGUE, server_flags
from tests.integration import slow_server
from tests.integration.errors import code_of, error_of
from tests.integration.raw_calls import connected, message, opened
from tests.integration.scraping import HANDLED, scrape, scrape_until, total, value
from tests.integration.serving import sample_server

Code = grpc.StatusCode
PATH = "/chaja.v1.SearchService/Search"
SEARCH = {"grpc_type": "unary", "grpc_service": "chaja.v1.SearchService", "grpc_method": "Search"}


def test_calls_texts_and_batches_are_counted(tiny_bundle: Path) -> None:
    with sample_server(tiny_bundle) as server:
        before = scrape(server.metrics_url)
        with chaja.connect(server.address) as client:
            for _ in range(3):
                client.search.Search(SearchRequest(query="송금"))
            client.search.BatchSearch(BatchSearchRequest(requests=[SearchRequest(query="a")] * 4))
            client.encode.Encode(EncodeRequest(texts=["a", "b"]))
            error_of(client.search.Search, SearchRequest(query=""))
        after = scrape_until(
            server.metrics_url, lambda found: value(found, HANDLED, **SEARCH, grpc_code="InvalidArgument")
        )
    assert set(before) == set(after), "a series appeared late"
    assert value(after, "grpc_server_started_total", **SEARCH) == 4
    assert value(after, HANDLED, **SEARCH, grpc_code="OK") == 3
    assert value(after, HANDLED, **SEARCH, grpc_code="InvalidArgument") == 1
    assert value(after, "grpc_server_handling_seconds_count", **SEARCH) == 4
    for stage in STAGES:
        # "송금", "a" and "b" are encoded once each: the others are cached, or shared with one in flight.
        expected = {"tokenize": 9, "queue": 9, "encode": 3}.get(stage, 7)
        assert value(after, "chaja_stage_seconds_count", stage=stage) == expected, stage
    # The counters also have the documents, which were encoded before the calls.
    for name, count in (("chaja_batch_texts_sum", 3), ("chaja_batch_tokens_sum", 2 + 1 + 1)):
        assert value(after, name) - value(before, name) == count
    lookups = [value(after, "chaja_cache_lookups_total", result=result) for result in ("hit", "miss", "shared")]
    assert lookups == [2 + 1, 3, 3]
    assert value(after, "chaja_queue_texts") == 0
    assert value(after, "chaja_predicted_wait_seconds") == 0
    documents = len(SAMPLE_CATALOGUE.read_text().splitlines())
    assert value(after, "chaja_catalogue_documents") == value(after, "chaja_store_sequence") == documents
    assert value(after, "chaja_change_lag_seconds") == 0
    assert value(after, "chaja_workers") == value(after, "chaja_workers_alive") >= 1
    assert total(after, "chaja_worker_busy_seconds_total") > total(before, "chaja_worker_busy_seconds_total") >= 0
    assert value(after, "chaja_call_errors_total", reason="INVALID_REQUEST") == 1
    assert total(after, "chaja_call_errors_total") == 1
    vectors = [value(after, "chaja_index_vectors", part=part) for part in ("graph", "exact", "dead")]
    assert vectors == [0, value(after, "chaja_catalogue_vectors"), 0]
    free_bytes = shutil.disk_usage(tempfile.gettempdir()).free
    assert 0.5 * free_bytes <= value(after, "chaja_data_free_bytes") <= 2 * free_bytes


def test_a_call_that_runs_out_of_time_is_counted_as_such(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(slow_server.SECONDS_PER_TOKEN, "5")  # The deadline passes first, however fast the machine is.
    request = SearchRequest(query="a").SerializeToString()
    with sample_server(tiny_bundle, module=slow_server.MODULE) as server:
        # This client sends a deadline, but does not cancel the call at it: only the server can notice.
        call = opened(PATH, grpc_timeout="2S") + message(request)
        with connected(server.address, call):
            after = scrape_until(
                server.metrics_url, lambda found: value(found, HANDLED, **SEARCH, grpc_code="DeadlineExceeded")
            )
    assert value(after, HANDLED, **SEARCH, grpc_code="Canceled") == 0
    assert value(after, "grpc_server_started_total", **SEARCH) == 1


def test_searches_are_counted_by_what_they_found(tiny_bundle: Path) -> None:
    requests = [
        SearchRequest(query="송금", limit=3),
        SearchRequest(query="송금", limit=3),
        SearchRequest(
            query="없는 문서", filter=Filter(equals=Equals(attribute="no", value=AttributeValue(string_value="x")))
        ),
    ]
    with sample_server(tiny_bundle) as server, chaja.connect(server.address) as client:
        answers = [client.search.Search(request) for request in requests]
        answers += client.search.BatchSearch(BatchSearchRequest(requests=requests)).responses
        streamed = [*client.search.SearchStream(iter([*requests, SearchRequest()]))]
        answers += [each.response for each in streamed[:3]]
        after = scrape_until(
            server.metrics_url, lambda found: total(found, HANDLED, grpc_method="SearchStream", grpc_code="OK")
        )
    expected = Counter(
        "no_hits" if not each.hits else "no_good_answer" if each.no_good_answer else "hits" for each in answers
    )
    assert expected["no_hits"] == 3
    found = {result: value(after, "chaja_searches_total", result=result) for result in ("hits", "no_hits")}
    found["no_good_answer"] = value(after, "chaja_searches_total", result="no_good_answer")
    assert found == {result: expected[result] for result in found}
    assert streamed[3].error.reason == "INVALID_REQUEST"
    assert value(after, "chaja_call_errors_total", reason="INVALID_REQUEST") == 1
    # Each search of the same query finds the same three documents: the store is read once for each.
    looked_up = [value(after, "chaja_hit_cache_lookups_total", result=result) for result in ("hit", "miss")]
    assert looked_up == [5 * 3, 3]
    sizes = {
        method: value(after, "chaja_response_bytes_total", grpc_service=SEARCH["grpc_service"], grpc_method=method)
        for method in ("Search", "SearchStream")
    }
    assert sizes == {
        "Search": sum(each.ByteSize() for each in answers[:3]),
        "SearchStream": sum(each.ByteSize() for each in streamed),
    }


def test_calls_of_unknown_methods_make_no_series(tiny_bundle: Path) -> None:
    with sample_server(tiny_bundle) as server, grpc.insecure_channel(server.address) as channel:
        before = scrape(server.metrics_url)
        for number in range(20):
            assert code_of(channel.unary_unary(f"/chaja.v1.SearchService/M{number}"), b"") is Code.UNIMPLEMENTED
            assert code_of(channel.unary_unary(f"/other.Service{number}/Search"), b"") is Code.UNIMPLEMENTED
        after = scrape_until(
            server.metrics_url, lambda found: value(found, "chaja_call_errors_total", reason="UNKNOWN_METHOD") == 40
        )
    assert set(before) == set(after)
    assert total(after, HANDLED, grpc_method="unknown", grpc_code="Unimplemented") == 40


def test_a_dead_worker_is_counted(tiny_bundle: Path) -> None:
    with running_server(
        server_flags(tiny_bundle, SAMPLE_CATALOGUE, "--encode-workers", "2"), module=slow_server.MODULE
    ) as server:
        assert value(scrape(server.metrics_url), "chaja_workers_alive") == 2
        with chaja.connect(server.address) as client:
            error_of(client.search.Search, SearchRequest(query=slow_server.DIE), timeout=20)
        after = scrape_until(server.metrics_url, lambda found: value(found, "chaja_workers_alive") == 1)
        assert value(after, "chaja_workers") == 2


def test_a_queue_shows_as_a_predicted_wait(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(slow_server.SECONDS_PER_TOKEN, "0.5")  # The queue lasts for longer than this test waits.
    flags = ("--encode-workers", "1", "--max-batch-tokens", "1", "--cache-bytes", "0")
    with sample_server(tiny_bundle, *flags, module=slow_server.MODULE) as server:
        before = total(scrape(server.metrics_url), "chaja_worker_busy_seconds_total")
        with grpc.insecure_channel(server.address) as channel:
            search: Any = chaja.Client(channel).search.Search
            calls = [search.future(SearchRequest(query=f"송금 {number}"), timeout=120) for number in range(40)]
            during = scrape_until(server.metrics_url, lambda found: value(found, "chaja_predicted_wait_seconds") > 0.1)
            assert value(during, "chaja_queue_texts") > 0
            for call in calls:
                call.cancel()
        after = scrape_until(
            server.metrics_url,
            lambda found: not value(found, "chaja_queue_texts") and not value(found, "chaja_predicted_wait_seconds"),
        )
        assert total(after, "chaja_worker_busy_seconds_total") - before >= 2 * 0.5, "a text has two tokens or more"


def test_the_objectives_and_the_lag_of_the_event_loop_are_exposed(tiny_bundle: Path) -> None:
    with sample_server(tiny_bundle, "--latency-objective-seconds", "0.03", "--min-recall", "0.9") as server:
        after = scrape_until(server.metrics_url, lambda found: value(found, "chaja_event_loop_lag_seconds_count") >= 2)
    assert value(after, "chaja_latency_objective_seconds") == 0.03
    assert value(after, "chaja_index_min_recall") == 0.9
    assert value(after, "grpc_server_handling_seconds_bucket", **SEARCH, le="0.03") == 0
    assert value(after, "chaja_event_loop_lag_seconds_sum") >= 0


def test_the_graph_and_its_builds_are_counted(tiny_bundle: Path) -> None:
    with sample_server(tiny_bundle, "--hnsw-from-vectors", "1000") as server:
        after = scrape_until(
            server.metrics_url,
            lambda found: value(found, "chaja_index_vectors", part="graph") >= 1000,
        )
    assert value(after, "chaja_graph_builds_total", result="ok") >= 1
    assert value(after, "chaja_graph_builds_total", result="failed") == 0
    assert value(after, "chaja_graph_build_seconds_sum") > 0
    parts = [value(after, "chaja_index_vectors", part=part) for part in ("graph", "exact")]
    assert sum(parts) == value(after, "chaja_catalogue_vectors")


def test_reflection_describes_every_service(tiny_server: ServerProcess) -> None:
    with grpc.insecure_channel(tiny_server.address) as channel:
        names = set(ProtoReflectionDescriptorDatabase(channel).get_services())
    assert {service.full_name for service in SERVICES} | {"grpc.health.v1.Health"} <= names


def test_reflection_can_be_switched_off(tiny_bundle: Path) -> None:
    with sample_server(tiny_bundle, "--reflection", "off") as server, grpc.insecure_channel(server.address) as channel:
        code = code_of(ProtoReflectionDescriptorDatabase(channel).get_services)
        assert code == grpc.StatusCode.UNIMPLEMENTED
