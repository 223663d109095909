import time
from pathlib import Path

import grpc
import pytest
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

import chaja
from chaja.v1 import BatchSearchRequest, EncodeRequest, SearchRequest
from sample.server_process import ServerProcess, running_server
from server.rpc.server import SERVICES
from server.stages import STAGES
from tests.conftest import SAMPLE_CATALOGUE, server_flags
from tests.integration.scraping import scrape, value

SEARCH = {"grpc_type": "unary", "grpc_service": "chaja.v1.SearchService", "grpc_method": "Search"}


def test_calls_texts_and_batches_are_counted(tiny_bundle: Path) -> None:
    with running_server(server_flags(tiny_bundle, SAMPLE_CATALOGUE)) as server:
        before = scrape(server.metrics_url)
        with chaja.connect(server.address) as client:
            for _ in range(3):
                client.search.Search(SearchRequest(query="송금"))
            client.search.BatchSearch(BatchSearchRequest(requests=[SearchRequest(query="a")] * 4))
            client.encode.Encode(EncodeRequest(texts=["a", "b"]))
            with pytest.raises(grpc.RpcError):
                client.search.Search(SearchRequest(query=""))
        # A refusal is counted when the server is done with the call, which may be after the caller has its answer.
        deadline = time.monotonic() + 10
        after = scrape(server.metrics_url)
        while time.monotonic() < deadline and not value(
            after, "grpc_server_handled_total", **SEARCH, grpc_code="InvalidArgument"
        ):
            after = scrape(server.metrics_url)
    assert set(before) == set(after), "a series appeared late"
    assert value(after, "grpc_server_started_total", **SEARCH) == 4
    assert value(after, "grpc_server_handled_total", **SEARCH, grpc_code="OK") == 3
    assert value(after, "grpc_server_handled_total", **SEARCH, grpc_code="InvalidArgument") == 1
    assert value(after, "grpc_server_handling_seconds_count", **SEARCH) == 4
    for stage in STAGES:
        # "송금", "a" and "b" are encoded once each: the others are remembered, or on their way.
        expected = {"tokenize": 9, "queue": 9, "encode": 3}.get(stage, 7)
        assert value(after, "chaja_stage_seconds_count", stage=stage) == expected, stage
    # Before that the documents were encoded.
    for name, count in (("chaja_batch_texts_sum", 3), ("chaja_batch_tokens_sum", 2 + 1 + 1)):
        assert value(after, name) - value(before, name) == count
    lookups = [value(after, "chaja_cache_lookups_total", result=result) for result in ("hit", "miss", "shared")]
    assert lookups == [2 + 1, 3, 3]
    assert value(after, "chaja_queue_texts") == 0
    assert value(after, "chaja_catalogue_documents") == len(SAMPLE_CATALOGUE.read_text().splitlines())


def test_a_call_that_runs_out_of_time_is_counted_as_such(tiny_bundle: Path, tmp_path: Path) -> None:
    catalogue = tmp_path / "catalogue.jsonl"
    catalogue.write_text('{"id": "a", "title": "a"}\n', encoding="utf-8")
    code = {"grpc_type": "unary", "grpc_service": "chaja.v1.SearchService", "grpc_method": "BatchSearch"}
    codes = ("DeadlineExceeded", "Canceled")
    requests = [SearchRequest(query=f"{number} 번째로 묻는 조금 긴 질문", limit=100) for number in range(100)]
    with running_server(server_flags(tiny_bundle, catalogue)) as server, chaja.connect(server.address) as client:
        # One document tells little of the server's speed, so the call is let in; later it would be refused at once.
        with pytest.raises(grpc.RpcError) as raised:
            client.search.BatchSearch(BatchSearchRequest(requests=requests), timeout=0.02)
        assert raised.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        client.search.Search(SearchRequest(query="a"))
        after = scrape(server.metrics_url)
    assert [value(after, "grpc_server_handled_total", **code, grpc_code=name) for name in codes] == [1, 0]


def test_reflection_describes_every_service(tiny_server: ServerProcess) -> None:
    with grpc.insecure_channel(tiny_server.address) as channel:
        names = set(ProtoReflectionDescriptorDatabase(channel).get_services())
    assert {service.full_name for service in SERVICES} | {"grpc.health.v1.Health"} <= names


def test_reflection_can_be_switched_off(tiny_bundle: Path) -> None:
    with (
        running_server(server_flags(tiny_bundle, SAMPLE_CATALOGUE, "--reflection", "off")) as server,
        grpc.insecure_channel(server.address) as channel,
        pytest.raises(grpc.RpcError) as raised,
    ):
        ProtoReflectionDescriptorDatabase(channel).get_services()
    assert raised.value.code() == grpc.StatusCode.UNIMPLEMENTED
