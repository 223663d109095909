from pathlib import Path

import grpc
import pytest
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

import chaja
from chaja.v1 import BatchSearchRequest, EncodeRequest, SearchRequest
from sample.server_process import ServerProcess
from server.rpc.server import SERVICES
from server.stages import STAGES
from tests.conftest import SAMPLE_CATALOGUE
from tests.integration import slow_server
from tests.integration.errors import code_of, error_of
from tests.integration.raw_calls import connected, message, opened
from tests.integration.scraping import HANDLED, scrape, scrape_until, value
from tests.integration.serving import sample_server

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
    assert value(after, "chaja_catalogue_documents") == len(SAMPLE_CATALOGUE.read_text().splitlines())


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


def test_reflection_describes_every_service(tiny_server: ServerProcess) -> None:
    with grpc.insecure_channel(tiny_server.address) as channel:
        names = set(ProtoReflectionDescriptorDatabase(channel).get_services())
    assert {service.full_name for service in SERVICES} | {"grpc.health.v1.Health"} <= names


def test_reflection_can_be_switched_off(tiny_bundle: Path) -> None:
    with sample_server(tiny_bundle, "--reflection", "off") as server, grpc.insecure_channel(server.address) as channel:
        code = code_of(ProtoReflectionDescriptorDatabase(channel).get_services)
        assert code == grpc.StatusCode.UNIMPLEMENTED
