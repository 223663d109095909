from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2

import chaja
from chaja.v1 import BatchSearchRequest, EncodeRequest, SearchRequest
from sample.server_process import ServerProcess
from tests.integration.errors import detail_of, error_of

FINE = SearchRequest(query="fine")
TOO_LONG = "글" * 65
"""A text with one token more than the small model sees."""


@pytest.fixture
def client(tiny_server: ServerProcess) -> Iterator[chaja.Client]:
    # On a busy machine, the server predicts that many texts take longer than the default deadline.
    with chaja.connect(tiny_server.address, timeout_seconds=60) as client:
        yield client
        # After any test, the server still serves other clients.
        assert len(client.search.Search(SearchRequest(query="송금", limit=3)).hits) == 3


def send(client: chaja.Client, request: Any) -> Any:
    """Calls the method of a request."""
    methods: dict[type, Any] = {
        SearchRequest: client.search.Search,
        BatchSearchRequest: client.search.BatchSearch,
        EncodeRequest: client.encode.Encode,
    }
    return methods[type(request)](request)


def fields_of(error: Any) -> list[str]:
    """Returns the fields in the status details."""
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    violations = detail_of(error, error_details_pb2.BadRequest()).field_violations
    for violation in violations:
        assert f"{violation.field}: {violation.description}" in error.details()
    return [violation.field for violation in violations]


@pytest.mark.parametrize(
    ("request_", "fields"),
    [
        (SearchRequest(query="\n\t", limit=-(2**31)), ["query", "limit"]),
        (SearchRequest(query="x" * 1001, limit=101), ["query", "limit"]),
        (SearchRequest(query=TOO_LONG), ["query"]),
        (BatchSearchRequest(requests=[FINE] * 101), ["requests"]),
        (
            BatchSearchRequest(requests=[FINE, SearchRequest(query=""), SearchRequest(query="a", limit=-1)]),
            ["requests[1].query", "requests[2].limit"],
        ),
        (BatchSearchRequest(requests=[FINE, SearchRequest(query=TOO_LONG)]), ["requests[1].query"]),
        (EncodeRequest(texts=["a"] * 257), ["texts"]),
        (EncodeRequest(texts=["a", " "]), ["texts[1]"]),
        (EncodeRequest(texts=["a", TOO_LONG, TOO_LONG]), ["texts[1]", "texts[2]"]),
    ],
)
def test_an_invalid_request_names_its_fields(client: chaja.Client, request_: Any, fields: list[str]) -> None:
    assert fields_of(error_of(send, client, request_)) == fields


@pytest.mark.parametrize(
    ("request_", "more"),
    [
        (BatchSearchRequest(requests=[SearchRequest(query="", limit=-(2**31))] * 100), 190),
        (EncodeRequest(texts=[TOO_LONG] * 256), 246),
    ],
)
def test_only_the_first_ten_violations_are_named(client: chaja.Client, request_: Any, more: int) -> None:
    error = error_of(send, client, request_)
    assert len(fields_of(error)) == 10
    assert error.details().endswith(f"; and {more} more")


def test_unusual_texts_are_searched_like_any_other(client: chaja.Client) -> None:
    for query in ("🦊" * 5, "\x00", "a\x00b", "％＆", "\u1112\u1161\u11ab", "\u202eabc", "\u200bzkem"):
        assert len(client.search.Search(SearchRequest(query=query)).hits) == 10, repr(query)
