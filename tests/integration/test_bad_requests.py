from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

import chaja
from chaja.v1 import BatchSearchRequest, EncodeRequest, SearchRequest
from sample.server_process import ServerProcess

TOO_LONG = "글" * 65
"""One token more than the small model sees."""


@pytest.fixture
def client(tiny_server: ServerProcess) -> Iterator[chaja.Client]:
    with chaja.connect(tiny_server.address) as client:
        yield client
        # Whatever the test did, the server serves the others.
        assert len(client.search.Search(SearchRequest(query="송금", limit=3)).hits) == 3


def refusal(method: Any, request: Any) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as raised:
        method(request)
    return raised.value


def fields_of(error: Any) -> list[str]:
    """The fields that the status details name."""
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    status = rpc_status.from_call(error)
    assert status is not None
    bad_request = error_details_pb2.BadRequest()
    assert status.details[0].Unpack(bad_request)
    for violation in bad_request.field_violations:
        assert f"{violation.field}: {violation.description}" in error.details()
    return [violation.field for violation in bad_request.field_violations]


@pytest.mark.parametrize("query", ["", "   ", "\n\t", "x" * 1001, TOO_LONG])
def test_a_query_that_is_empty_or_too_long(client: chaja.Client, query: str) -> None:
    assert fields_of(refusal(client.search.Search, SearchRequest(query=query))) == ["query"]


def test_the_message_says_what_to_do(client: chaja.Client) -> None:
    error: Any = refusal(client.search.Search, SearchRequest(query=TOO_LONG))
    assert error.details() == "query: has 65 tokens; the model sees at most 64: shorten it"


@pytest.mark.parametrize("limit", [-1, 101, 2**31 - 1, -(2**31)])
def test_a_limit_out_of_range(client: chaja.Client, limit: int) -> None:
    assert fields_of(refusal(client.search.Search, SearchRequest(query="a", limit=limit))) == ["limit"]


def test_a_batch_with_some_wrong_queries(client: chaja.Client) -> None:
    requests = [SearchRequest(query="fine"), SearchRequest(query=""), SearchRequest(query="a", limit=-1)]
    error = refusal(client.search.BatchSearch, BatchSearchRequest(requests=requests))
    assert fields_of(error) == ["requests[1].query", "requests[2].limit"]
    requests = [SearchRequest(query="fine"), SearchRequest(query=TOO_LONG)]
    error = refusal(client.search.BatchSearch, BatchSearchRequest(requests=requests))
    assert fields_of(error) == ["requests[1].query"]


@pytest.mark.parametrize("count", [0, 101])
def test_a_batch_of_no_or_too_many_queries(client: chaja.Client, count: int) -> None:
    error = refusal(client.search.BatchSearch, BatchSearchRequest(requests=[SearchRequest(query="a")] * count))
    assert fields_of(error) == ["requests"]


def test_when_everything_is_wrong_the_caller_is_told_the_first_ten(client: chaja.Client) -> None:
    requests = [SearchRequest(query="", limit=-(2**31))] * 100
    error: Any = refusal(client.search.BatchSearch, BatchSearchRequest(requests=requests))
    assert len(fields_of(error)) == 10
    assert error.details().endswith("; and 190 more")
    error = refusal(client.encode.Encode, EncodeRequest(texts=[TOO_LONG] * 256))
    assert len(fields_of(error)) == 10
    assert error.details().endswith("; and 246 more")


def test_texts_to_encode(client: chaja.Client) -> None:
    encode = client.encode.Encode
    assert fields_of(refusal(encode, EncodeRequest())) == ["texts"]
    assert fields_of(refusal(encode, EncodeRequest(texts=["a"] * 257))) == ["texts"]
    assert fields_of(refusal(encode, EncodeRequest(texts=["a", " "]))) == ["texts[1]"]
    assert fields_of(refusal(encode, EncodeRequest(texts=["a", TOO_LONG, TOO_LONG]))) == ["texts[1]", "texts[2]"]
    assert fields_of(refusal(encode, EncodeRequest(texts=["a"], text_kind=9))) == ["text_kind"]  # type: ignore[arg-type]


def test_a_message_that_is_too_large(client: chaja.Client) -> None:
    error: Any = refusal(client.encode.Encode, EncodeRequest(texts=["x" * 5_000_000]))
    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_a_message_that_is_none(tiny_server: ServerProcess, client: chaja.Client) -> None:
    search: Any = client.channel.unary_unary("/chaja.v1.SearchService/Search", request_serializer=bytes)
    error: Any = refusal(search, b"\xff\xff\xff")
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    missing: Any = client.channel.unary_unary("/chaja.v1.SearchService/Find", request_serializer=bytes)
    error = refusal(missing, b"")
    assert error.code() == grpc.StatusCode.UNIMPLEMENTED
    assert not [line for line in tiny_server.lines if "Traceback" in line]


def test_unusual_texts_are_searched_like_any_other(client: chaja.Client) -> None:
    for query in ("\u200b", "🦊" * 5, "\x00", "a\x00b", "％＆", "\u1112\u1161\u11ab", "\u202eabc"):
        assert len(client.search.Search(SearchRequest(query=query)).hits) == 10, repr(query)
