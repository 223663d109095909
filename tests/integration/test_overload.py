import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2

import chaja
from chaja.v1 import BatchSearchRequest, EncodeRequest, SearchRequest, SearchResponse
from sample.server_process import ServerProcess
from tests.integration import slow_server
from tests.integration.errors import detail_of, error_of
from tests.integration.scraping import HANDLED, Samples, scrape, scrape_until, total, value
from tests.integration.serving import sample_server, wait_until

pytestmark = pytest.mark.alone


@pytest.fixture(scope="module")
def weak_server(tiny_bundle: Path) -> Iterator[ServerProcess]:
    """A server that takes thirty milliseconds for sixty characters, has measured this, and allows only short waits."""
    flags = ("--encode-workers", "1", "--longest-wait-seconds", "0.3")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(slow_server.SECONDS_PER_TOKEN, "0.0005")
        with sample_server(tiny_bundle, *flags, module=slow_server.MODULE) as server:
            with chaja.connect(server.address) as client:  # It measures its speed on some thousands of tokens.
                texts = [long_request(2000 + number).query for number in range(120)]
                client.encode.Encode(EncodeRequest(texts=texts), timeout=60)
            yield server


@pytest.fixture
def stub(weak_server: ServerProcess) -> Iterator[Any]:
    """A stub without retries."""
    with grpc.insecure_channel(weak_server.address) as channel:
        stub = chaja.Client(channel).search
        yield stub
        for number in range(3):  # After the overload, the server answers as before.
            assert stub.Search(long_request(1000 + number), timeout=30).hits


def long_request(number: int) -> SearchRequest:
    return SearchRequest(query=f"{number:05}{'송금하고싶은데어떻게해야하나요' * 4}"[:60], limit=3)


def check_refusal(error: Any) -> None:
    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    info = detail_of(error, error_details_pb2.ErrorInfo())
    assert (info.reason, info.domain) == ("OVERLOADED", "chaja")
    delay = detail_of(error, error_details_pb2.RetryInfo()).retry_delay.ToMilliseconds()
    assert delay > 0
    assert dict(error.trailing_metadata())["grpc-retry-pushback-ms"] == str(delay)


def check_answer(server: ServerProcess, request: SearchRequest, response: SearchResponse) -> None:
    """Compares an answer with that of an idle server: the same documents with exactly the same scores."""
    with chaja.connect(server.address) as client:
        expected = client.search.Search(request).hits
    assert [(hit.document_id, hit.score) for hit in response.hits] == [(hit.document_id, hit.score) for hit in expected]


def refused(samples: Samples, method: str) -> float:
    return total(samples, HANDLED, grpc_method=method, grpc_code="ResourceExhausted")


def storm(method: Any, requests: list[Any]) -> tuple[list[tuple[int, Any, float]], list[tuple[int, Any, float]]]:
    """Makes all calls at once; returns the answered and the rejected ones: number, answer or error, time."""
    ended: dict[int, float] = {}
    calls = [method.future(request, timeout=60) for request in requests]
    for number, call in enumerate(calls):
        call.add_done_callback(lambda _, number=number: ended.setdefault(number, time.monotonic()))
    errors = [call.exception(timeout=60) for call in calls]
    wait_until(lambda: len(ended) == len(calls))
    answered = [(number, calls[number].result(), ended[number]) for number, error in enumerate(errors) if error is None]
    others = [(number, error, ended[number]) for number, error in enumerate(errors) if error is not None]
    return answered, others


@pytest.mark.parametrize("method", ["Search", "BatchSearch"])
def test_excess_calls_are_rejected_at_once_and_as_a_whole(
    stub: Any, weak_server: ServerProcess, tiny_server: ServerProcess, method: str
) -> None:
    before = refused(scrape(weak_server.metrics_url), method)
    searches = [long_request(1 + number) for number in range(60)]
    batches = [BatchSearchRequest(requests=[long_request(100 + 10 * n + m) for m in range(10)]) for n in range(12)]
    answered, others = storm(getattr(stub, method), searches if method == "Search" else batches)
    assert answered
    assert others
    for number, response, _ in answered:
        if method == "Search":
            check_answer(tiny_server, searches[number], response)
        else:
            for request, each in zip(batches[number].requests, response.responses, strict=True):
                check_answer(tiny_server, request, each)
    for _, error, _ in others:
        check_refusal(error)
    assert min(ended for *_, ended in others) < max(ended for *_, ended in answered), "refusals waited for the others"
    scrape_until(weak_server.metrics_url, lambda found: refused(found, method) == before + len(others))


def test_a_call_that_cannot_meet_its_deadline_is_rejected_at_once(stub: Any) -> None:
    request = BatchSearchRequest(requests=[long_request(500 + number) for number in range(60)])
    error = error_of(stub.BatchSearch, request, timeout=0.8)
    check_refusal(error)
    assert "the deadline is too near" in str(error.details())


def test_a_stream_continues_after_a_rejection(
    stub: Any, weak_server: ServerProcess, tiny_server: ServerProcess
) -> None:
    requests = [long_request(300 + number) for number in range(64)]
    results = list(stub.SearchStream(iter(requests), timeout=60))
    assert {each.WhichOneof("result") for each in results} == {"response", "error"}
    for request, each in zip(requests, results, strict=True):
        if each.HasField("response"):
            check_answer(tiny_server, request, each.response)
        else:
            assert each.error.code == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
            assert each.error.reason == "OVERLOADED"
            assert each.error.retry_delay.ToMilliseconds() > 0
    kind = {"grpc_type": "bidi_stream", "grpc_service": "chaja.v1.SearchService", "grpc_method": "SearchStream"}
    samples = scrape_until(weak_server.metrics_url, lambda found: value(found, HANDLED, **kind, grpc_code="OK"))
    assert value(samples, HANDLED, **kind, grpc_code="ResourceExhausted") == 0, "the stream itself is fine"
