"""Requests whose answers shards must give as one server does, and their comparison."""

from collections.abc import Callable, Iterator
from typing import Any

import grpc
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from chaja.v1 import (
    AttributeValue,
    BatchSearchRequest,
    EncodeRequest,
    Equals,
    Filter,
    GetDocumentRequest,
    ListDocumentsRequest,
    ListSynonymsRequest,
    Mode,
    SearchRequest,
    SuggestRequest,
    TextUnit,
    catalog_pb2,
    encode_pb2,
    info_pb2,
    search_pb2,
    suggest_pb2,
    synonym_pb2,
)

QUERIES = [
    "전기세 납부",
    "card lost",
    "환율",
    "zkem",
    "ㅋㄷ ㅂㅅ",
    "send mony abroad",
    "no such thing at all",
    "수도요금",
]
MODES = [Mode.MODE_DENSE, Mode.MODE_LEXICAL, Mode.MODE_HYBRID]
BILLS = Filter(equals=Equals(attribute="category", value=AttributeValue(string_value="bills")))

METHOD_OF = {
    method.input_type.full_name: method
    for file in (search_pb2, suggest_pb2, catalog_pb2, encode_pb2, info_pb2, synonym_pb2)
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
    if not method.server_streaming
}
"""The unary methods by the names of their requests."""

SECONDS = 30.0

Call = Callable[[Message], Any]
"""Makes the unary call of a request; returns its answer."""


def path_of(request: Message) -> str:
    """Returns the path of the method that takes a request."""
    method = METHOD_OF[request.DESCRIPTOR.full_name]
    return f"/{method.containing_service.full_name}/{method.name}"


def answer_of(request: Message, answer: bytes) -> Any:
    """Parses the answer to a request."""
    return GetMessageClass(METHOD_OF[request.DESCRIPTOR.full_name].output_type).FromString(answer)


def caller(channel: grpc.Channel, *, seconds: float = SECONDS) -> Call:
    """Returns a function that makes calls over a channel."""

    def call(request: Message) -> Any:
        method: Any = channel.unary_unary(path_of(request))
        return answer_of(request, method(request.SerializeToString(), timeout=seconds))

    return call


def requests() -> Iterator[Message]:
    """Yields requests of every kind."""
    for query in QUERIES:
        for mode in MODES:
            yield SearchRequest(
                query=query, mode=mode, limit=7, facets=["category", "popular"], highlight=TextUnit.TEXT_UNIT_UTF16
            )
            yield SearchRequest(query=query, mode=mode, limit=5, filter=BILLS)
    yield BatchSearchRequest(requests=[SearchRequest(query=query) for query in QUERIES])
    for text in ("전", "카드", "card", "ㅋㄷ", "ele"):
        yield SuggestRequest(text=text, limit=8)
        yield SuggestRequest(text=text, limit=8, filter=BILLS)
    yield EncodeRequest(texts=QUERIES)
    yield GetDocumentRequest(id="gas-bill")
    yield ListDocumentsRequest(page_size=7, filter=BILLS)
    yield ListSynonymsRequest()


def comparable(answer: Any) -> Any:
    """Returns an answer without the parts that differ between two servers, or two calls."""
    for each in getattr(answer, "responses", [answer]):
        for field in ("search_id", "shard_count", "timings"):
            if field in each.DESCRIPTOR.fields_by_name:
                each.ClearField(field)
    return answer


def differences(one: Call, other: Call) -> list[str]:
    """Returns the requests that two servers answer differently, with pages of the first searches, and why."""
    asked = list(requests())
    for request in asked[: 2 * len(MODES)]:
        token = one(request).next_page_token
        if token:
            following = SearchRequest.FromString(request.SerializeToString())
            following.page_token = token
            asked.append(following)
    return [
        f"{request}: {answers[0]}, {answers[1]}"
        for request in asked
        if (answers := [comparable(call(request)) for call in (one, other)])[0] != answers[1]
    ]
