from __future__ import annotations

import time
import urllib.request
from pathlib import Path

import grpc
import pytest
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from prometheus_client.parser import text_string_to_metric_families

import chaja
from chaja.v1 import BatchSearchRequest, EncodeRequest, SearchRequest
from sample.server_process import ServerProcess, running_server
from server.rpc.server import SERVICES
from server.stages import STAGES
from tests.conftest import SAMPLE_CATALOGUE, server_flags

SEARCH = {"grpc_type": "unary", "grpc_service": "chaja.v1.SearchService", "grpc_method": "Search"}
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def scrape(url: str) -> Samples:
    with urllib.request.urlopen(url, timeout=10) as response:  # noqa: S310  our own server
        families = list(text_string_to_metric_families(response.read().decode()))
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples[name, frozenset(labels.items())]


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
        expected = 7 if stage in ("search", "fetch") else 9
        assert value(after, "chaja_stage_seconds_count", stage=stage) == expected, stage
    assert value(after, "chaja_batch_texts_sum") == 9
    assert value(after, "chaja_batch_tokens_sum") == 3 * 2 + 4 + 2
    assert value(after, "chaja_queue_texts") == 0
    assert value(after, "chaja_catalogue_documents") == len(SAMPLE_CATALOGUE.read_text().splitlines())


def test_a_call_that_runs_out_of_time_is_counted_as_such(tiny_server: ServerProcess) -> None:
    code = {"grpc_type": "unary", "grpc_service": "chaja.v1.SearchService", "grpc_method": "BatchSearch"}
    codes = ("DeadlineExceeded", "Canceled")
    before = scrape(tiny_server.metrics_url)
    requests = [SearchRequest(query=f"{number} 번째로 묻는 조금 긴 질문", limit=100) for number in range(100)]
    with chaja.connect(tiny_server.address) as client, pytest.raises(grpc.RpcError) as raised:
        client.search.BatchSearch(BatchSearchRequest(requests=requests), timeout=0.02)
    assert raised.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    with chaja.connect(tiny_server.address) as client:
        client.search.Search(SearchRequest(query="a"))
    after = scrape(tiny_server.metrics_url)
    counts = [
        value(after, "grpc_server_handled_total", **code, grpc_code=name)
        - value(before, "grpc_server_handled_total", **code, grpc_code=name)
        for name in codes
    ]
    assert counts == [1, 0]


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
