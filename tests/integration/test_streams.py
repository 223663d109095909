import json
from collections.abc import Iterator
from typing import Any

import grpc
import pytest

import chaja
from chaja.v1 import SearchRequest, SearchResponse
from sample.server_process import ServerProcess
from tests.conftest import SAMPLE_QUERIES

QUERIES = [json.loads(line)["query"] for line in SAMPLE_QUERIES.read_text(encoding="utf-8").splitlines()]
INVALID = grpc.StatusCode.INVALID_ARGUMENT.value[0]


@pytest.fixture
def stub(tiny_server: ServerProcess) -> Iterator[Any]:
    with chaja.connect(tiny_server.address) as client:
        yield client.search


def requests_of(count: int) -> list[SearchRequest]:
    languages = ("", "ko", "en", "fr")
    return [
        SearchRequest(
            query=f"{number} {QUERIES[number % len(QUERIES)]}"[:60],
            limit=1 + number % 7,
            language_code=languages[number % 4],
        )
        for number in range(count)
    ]


def check_same(streamed: SearchResponse, single: SearchResponse) -> None:
    """Checks that an answer has the same hits, with exactly the same scores."""
    assert streamed.model_revision == single.model_revision
    assert list(streamed.hits) == list(single.hits)


def test_streamed_queries_are_answered_like_single_calls_and_errors_take_their_places(stub: Any) -> None:
    wrong = {3: SearchRequest(), 4: SearchRequest(query="x" * 1001), 9: SearchRequest(query="글" * 65)}
    wrong |= {10: SearchRequest(query="a", limit=-1), 17: SearchRequest(query="a", limit=101)}
    requests = [wrong.get(number, good) for number, good in enumerate(requests_of(500))]
    results = list(stub.SearchStream(iter(requests), timeout=60))
    assert [number for number, each in enumerate(results) if each.HasField("error")] == sorted(wrong)
    for number, result in enumerate(results):
        if number in wrong:
            assert (result.error.code, result.error.reason) == (INVALID, "INVALID_REQUEST")
            assert result.error.message.startswith("limit: " if number in (10, 17) else "query: ")
            assert not result.error.HasField("retry_delay")
        else:
            check_same(result.response, stub.Search(requests[number]))
