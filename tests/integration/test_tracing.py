"""Traces of a real server, exported to a real collector in this process."""

import itertools
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

import chaja
from chaja.v1 import BatchSearchRequest, EncodeRequest, GetServerInfoRequest, SearchRequest
from sample.server_process import REPOSITORY, ServerProcess
from server.stages import STAGES
from tests.integration import slow_server
from tests.integration.collector import ERROR, Collector, attributes, collecting
from tests.integration.errors import code_of
from tests.integration.raw_calls import connected, message, opened
from tests.integration.scraping import scrape, scrape_until, value
from tests.integration.serving import sample_server, start_error, wait_until
from tests.ports import free_ports

CALLER = "00f067aa0ba902b7"
TOKEN = "a-token-of-32-letters-or-more-123"
SEARCH = "chaja.v1.SearchService/Search"


def parent(number: int, flags: str = "01") -> tuple[tuple[str, str], ...]:
    """Returns the metadata of a caller's span in a separate trace."""
    return (("traceparent", f"00-{number:032x}-{CALLER}-{flags}"), ("tracestate", "vendor=1"))


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


@pytest.fixture(scope="module")
def server(tiny_bundle: Path, collector: Collector) -> Iterator[ServerProcess]:
    with sample_server(tiny_bundle, "--trace-endpoint", collector.address, "--trace-share", "0") as server:
        yield server


@pytest.fixture
def client(server: ServerProcess) -> Iterator[chaja.Client]:
    with chaja.connect(server.address) as client:
        yield client


def root_of(collector: Collector, number: int) -> Span:
    wait_until(lambda: [span for span in collector.roots() if span.trace_id.hex() == f"{number:032x}"])
    (root,) = [span for span in collector.roots() if span.trace_id.hex() == f"{number:032x}"]
    return root


def test_a_search_continues_its_caller_s_trace_with_a_span_for_each_stage(
    client: chaja.Client, collector: Collector
) -> None:
    metadata = (*parent(1), ("x-request-id", "mine"))
    before = time.time_ns()
    client.search.Search(SearchRequest(query="환율 조회", limit=3), metadata=metadata)
    root = root_of(collector, 1)
    stages = collector.children(root)
    assert [span.name for span in stages] == list(STAGES)
    assert (root.name, root.parent_span_id.hex(), root.trace_state) == (SEARCH, CALLER, "vendor=1")
    assert {span.trace_id for span in stages} == {root.trace_id}
    facts = attributes(root)
    assert (
        facts.items()
        >= {
            "rpc.system": "grpc",
            "rpc.method": SEARCH,
            "rpc.response.status_code": "OK",
            "rpc.grpc.status_code": 0,
            "chaja.request_id": "mine",
            "chaja.hits": 3,
            "chaja.mode": "dense",
            "chaja.batch_texts": 1,
        }.items()
    )
    assert facts["chaja.response_bytes"] > 0
    assert root.status.code != ERROR
    assert before < root.start_time_unix_nano + 10**9
    assert root.end_time_unix_nano < time.time_ns() + 10**9
    for earlier, later in itertools.pairwise(stages):
        assert earlier.start_time_unix_nano <= earlier.end_time_unix_nano
        assert earlier.end_time_unix_nano <= later.start_time_unix_nano + 10**6, "the stages follow each other"
    assert "환율" not in str(collector.spans), "no span has the query"
    assert collector.resources[0]["service.name"] == "chaja"


def test_a_span_names_the_interpretation_of_a_query_without_its_text(
    client: chaja.Client, collector: Collector
) -> None:
    client.search.Search(SearchRequest(query="dlcpgkseh"), metadata=parent(13))
    assert attributes(root_of(collector, 13))["chaja.interpretation"] == "keyboard"
    assert "이체한도" not in str(collector.spans)


def test_a_batch_is_linked_to_the_spans_of_its_calls_and_they_to_it(client: chaja.Client, collector: Collector) -> None:
    queries = [SearchRequest(query=f"송금 한도 {number}") for number in range(3)]
    client.search.BatchSearch(BatchSearchRequest(requests=queries), metadata=parent(2))
    root = root_of(collector, 2)
    searches = collector.children(root)
    assert [span.name for span in searches] == ["query"] * 3
    encodings = [span for each in searches for span in collector.children(each) if span.name == "encode"]
    assert len(encodings) == 3
    batches = {span.span_id: span for span in collector.named("encode batch")}
    linked = [batches[span.links[0].span_id] for span in encodings]
    for batch in linked:
        assert [link.span_id for link in batch.links] == [root.span_id]
        assert batch.links[0].trace_id == root.trace_id
        assert batch.trace_id != root.trace_id, "a batch may have calls of many traces"
        assert not batch.parent_span_id
        assert attributes(batch)["chaja.batch_texts"] >= 1


def test_a_cached_query_has_no_encoding(client: chaja.Client, collector: Collector) -> None:
    client.search.Search(SearchRequest(query="내 카드"))
    client.search.Search(SearchRequest(query="내 카드"), metadata=parent(3))
    names = [span.name for span in collector.children(root_of(collector, 3))]
    assert names == ["tokenize", "queue", "search", "fetch"]


def test_every_query_of_a_stream_and_every_text_has_its_spans_but_not_more_than_32(
    client: chaja.Client, collector: Collector
) -> None:
    queries = iter([SearchRequest(query=f"q{number}") for number in range(40)])
    assert len(list(client.search.SearchStream(queries, metadata=parent(4)))) == 40
    client.encode.Encode(EncodeRequest(texts=["a", "b"]), metadata=parent(5))
    stream, encode = root_of(collector, 4), root_of(collector, 5)
    assert len(collector.children(stream)) == 32
    assert attributes(stream)["chaja.queries_without_spans"] == 8
    texts = collector.children(encode)
    assert [[span.name for span in collector.children(text)] for text in texts] == [["tokenize", "queue", "encode"]] * 2


def test_errors_have_their_status(client: chaja.Client, collector: Collector) -> None:
    assert (
        code_of(client.search.Search, SearchRequest(query=""), metadata=parent(6)) is grpc.StatusCode.INVALID_ARGUMENT
    )
    root = root_of(collector, 6)
    assert root.status.code != ERROR, "the caller's fault is no error of the server"
    assert attributes(root)["error.type"] == "INVALID_REQUEST"
    assert attributes(root)["rpc.response.status_code"] == "INVALID_ARGUMENT"


def test_a_call_that_ran_out_of_time_shows_the_stage_in_which_it_was(
    tiny_bundle: Path, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(slow_server.SECONDS_PER_TOKEN, "5")
    flags = ("--trace-endpoint", f"http://{collector.address}")
    request = SearchRequest(query="a").SerializeToString()
    [(_, traceparent), _] = parent(7)
    # This client sends a deadline, but does not cancel the call at it.
    sent = opened(f"/{SEARCH}", grpc_timeout="2S", traceparent=traceparent) + message(request)
    with sample_server(tiny_bundle, *flags, module=slow_server.MODULE) as server, connected(server.address, sent):
        root = root_of(collector, 7)
    assert root.status.code == ERROR
    stages = collector.children(root)
    assert [span.name for span in stages] == ["tokenize", "queue", "encode"]
    assert [span.status.code == ERROR for span in stages] == [False, False, True]


def test_calls_are_sampled_by_their_parent_or_by_the_share(
    tiny_bundle: Path, collector: Collector, client: chaja.Client
) -> None:
    client.search.Search(SearchRequest(query="a"), metadata=parent(8, flags="00"))
    client.search.Search(SearchRequest(query="a"))  # The share is 0.
    client.search.Search(SearchRequest(query="a"), metadata=(("traceparent", "garbage"),))
    client.search.Search(SearchRequest(query="a"), metadata=parent(9))
    root_of(collector, 9)
    numbers = {int(span.trace_id.hex(), 16) for span in collector.roots()}
    assert 8 not in numbers
    assert numbers <= set(range(20)), "no trace began here"
    flags = ("--trace-endpoint", collector.address, "--trace-share", "1")
    with sample_server(tiny_bundle, *flags) as all_traced, chaja.connect(all_traced.address) as other:
        other.info.GetServerInfo(GetServerInfoRequest())
        other.info.GetServerInfo(GetServerInfoRequest(), metadata=parent(10, flags="00"))
    # The last spans are exported when the server stops.
    (ours,) = [span for span in collector.roots() if int(span.trace_id.hex(), 16) > 20]
    assert not ours.parent_span_id


def test_refused_calls_leave_the_bound_on_traces_to_others(
    tiny_bundle: Path, collector: Collector, tmp_path: Path
) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text(f"search app {TOKEN}\n", encoding="utf-8")
    flags = ("--trace-endpoint", collector.address, "--trace-share", "1", "--tokens", str(tokens))
    with sample_server(tiny_bundle, *flags) as server, chaja.connect(server.address) as client:
        search: Any = client.search.Search
        refused = [search.future(SearchRequest(query="a"), metadata=parent(1000 + number)) for number in range(300)]
        assert {call.code() for call in refused} == {grpc.StatusCode.UNAUTHENTICATED}
        metadata = (*parent(12), ("authorization", f"Bearer {TOKEN}"))
        client.search.Search(SearchRequest(query="a"), metadata=metadata)
        assert value(scrape(server.metrics_url), "chaja_spans_dropped_total") == 0
    root_of(collector, 12)
    assert not [span for span in collector.roots() if 1000 <= int(span.trace_id.hex(), 16) < 1300]


def test_the_metrics_of_a_traced_call_name_its_trace(client: chaja.Client, server: ServerProcess) -> None:
    client.search.Search(SearchRequest(query="계좌"), metadata=parent(11))
    request = urllib.request.Request(  # noqa: S310
        server.metrics_url, headers={"Accept": "application/openmetrics-text; version=1.0.0"}
    )

    def exemplars(name: str) -> list[str]:
        with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
            lines = response.read().decode().splitlines()
        return [line for line in lines if line.startswith(name) and f'# {{trace_id="{11:032x}"}}' in line]

    wait_until(lambda: exemplars("grpc_server_handling_seconds_bucket"))
    stages = {re.search(r'stage="(\w+)"', line)[1] for line in exemplars("chaja_stage_seconds_bucket")}  # type: ignore[index]
    assert stages == set(STAGES)


def test_a_dead_collector_hurts_no_search_and_is_logged_once(tiny_bundle: Path) -> None:
    (port,) = free_ports(1)
    flags = ("--trace-endpoint", f"127.0.0.1:{port}", "--trace-share", "1")
    with sample_server(tiny_bundle, *flags) as server, chaja.connect(server.address) as client:
        for _ in range(50):
            assert client.search.Search(SearchRequest(query="a", limit=1), timeout=20).hits
        scrape_until(server.metrics_url, lambda found: value(found, "chaja_spans_dropped_total") >= 50, seconds=60)
        started = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - started < 12
    lines = [line for line in server.lines if "spans cannot be sent" in line or "opentelemetry" in line]
    assert len(lines) == 1
    assert f"127.0.0.1:{port}" in lines[0]


def test_without_an_endpoint_opentelemetry_is_not_imported(tiny_bundle: Path) -> None:
    code = (
        "import sys\nimport server.app, server.rpc.server, server.tracing.opening\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]", run.stderr


def test_an_invalid_endpoint_is_refused(tiny_bundle: Path) -> None:
    assert "--trace-endpoint: expected host:port" in start_error(tiny_bundle, "--trace-endpoint", "ftp://a:1", code=2)
