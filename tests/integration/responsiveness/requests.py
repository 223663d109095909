"""Requests at the documented limits that are as expensive as possible to read, by name."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

from grpc_reflection.v1alpha import reflection_pb2

from chaja.v1 import (
    AttributeValue,
    BatchSearchRequest,
    Delete,
    DeleteDocumentsRequest,
    Document,
    EncodeRequest,
    Equals,
    Filter,
    FilterList,
    GetDocumentRequest,
    ImportDocumentsRequest,
    In,
    ListDocumentsRequest,
    LocalizedText,
    Mode,
    SearchRequest,
    TextKind,
    Upsert,
    UpsertDocumentsRequest,
)

MARKS = "\u0301\u0316"
WORDS = "카드를 잃어버렸어요 lost my card 환율 "
MESSAGE_BYTES = 4_100_000
"""Almost the default of --max-message-bytes."""


def _text(unit: str, characters: int) -> str:
    """Returns a text of this length without repeated passages: a number stands between the copies of `unit`."""
    numbered = "".join(f"{unit}{number}" for number in range(characters // len(unit) + 1))
    return numbered[:characters]


def _in(count: int) -> Filter:
    values = [AttributeValue(string_value=f"{number}") for number in range(count)]
    return Filter(is_in=In(attribute="category", values=values))


def _deep() -> Filter:
    filter = Filter(any_of=FilterList(filters=[Filter(equals=_equals(number)) for number in range(200)]))
    for _ in range(25):
        filter = Filter(all_of=FilterList(filters=[filter]))
    return filter


def _equals(number: int) -> Equals:
    return Equals(attribute=f"a{number}", value=AttributeValue(number_value=number))


def _upsert(id: str, **fields: Any) -> UpsertDocumentsRequest:
    attributes = fields.pop("attributes", {})
    document = Document(id=id, **fields)
    document.attributes.update(attributes)
    return UpsertDocumentsRequest(upserts=[Upsert(document=document)])


def _titled(text: str) -> list[LocalizedText]:
    return [LocalizedText(text=text)]


QUERIES: dict[str, Callable[[], SearchRequest]] = {
    "a query of combining marks": lambda: SearchRequest(query=MARKS * 500),
    "a filter with ten thousand values": lambda: SearchRequest(query="카드", filter=_in(10_000)),
    "a deep filter": lambda: SearchRequest(query="카드", filter=_deep(), mode=Mode.MODE_HYBRID),
    "a long language code": lambda: SearchRequest(query="카드", language_code="ko-" * 1_300_000),
    "many hits": lambda: SearchRequest(query="카드", limit=100, mode=Mode.MODE_LEXICAL),
}

BATCHES: dict[str, Callable[[], BatchSearchRequest]] = {
    "a hundred long queries": lambda: BatchSearchRequest(
        requests=[SearchRequest(query=_text(f"{number} {WORDS}", 1000)) for number in range(100)]
    ),
    "a hundred queries of combining marks": lambda: BatchSearchRequest(
        requests=[SearchRequest(query=f"{number}{MARKS * 490}") for number in range(100)]
    ),
    "forty large filters": lambda: BatchSearchRequest(
        requests=[SearchRequest(query=f"{number}", filter=_in(8000)) for number in range(40)]
    ),
    "a hundred times a hundred hits": lambda: BatchSearchRequest(
        requests=[SearchRequest(query=f"{number} 카드", limit=100) for number in range(100)]
    ),
    "two million empty queries": lambda: BatchSearchRequest.FromString(b"\x0a\x00" * (MESSAGE_BYTES // 2)),
}

ENCODINGS: dict[str, Callable[[], EncodeRequest]] = {
    "long texts": lambda: EncodeRequest(texts=[_text(WORDS, 20_000) for _ in range(60)], truncate=True),
    "long texts without spaces": lambda: EncodeRequest(texts=["가나다라" * 5000] * 60, truncate=True),
    "texts of combining marks": lambda: EncodeRequest(texts=[MARKS * 10_000] * 100, truncate=True),
    "texts that are too long": lambda: EncodeRequest(texts=[_text(WORDS, 20_000) for _ in range(60)]),
    "documents": lambda: EncodeRequest(
        texts=[_text(WORDS, 20_000)] * 60, truncate=True, text_kind=TextKind.TEXT_KIND_DOCUMENT
    ),
    "two million empty texts": lambda: EncodeRequest.FromString(b"\x0a\x00" * (MESSAGE_BYTES // 2)),
}

WRITES: dict[str, Callable[[], UpsertDocumentsRequest]] = {
    "a text of a million characters": lambda: _upsert("words", texts=_titled(_text(WORDS, 990_000))),
    "a text without spaces": lambda: _upsert("syllables", texts=_titled(_text("가나다라", 990_000))),
    "a text of combining marks": lambda: _upsert("marks", texts=_titled(MARKS * 490_000)),
    "a text of ligatures": lambda: _upsert("ligatures", texts=_titled("ﷺ" * 200_000)),
    "a title of a million characters": lambda: _upsert("title", titles=_titled(_text(WORDS, 990_000))),
    "very many examples": lambda: _upsert("examples", examples=[f"예 {number}" for number in range(140_000)]),
    "as many examples as are allowed": lambda: _upsert("examples", examples=[f"예 {n}" for n in range(29_000)]),
    "very many numbers": lambda: _upsert("numbers", titles=_titled("수"), attributes={"n": [1.5] * 370_000}),
    "as many numbers as are allowed": lambda: _upsert(
        "numbers", titles=_titled("수"), attributes={"n": [1.5] * 29_000}
    ),
    "very many attributes": lambda: _upsert(
        "attributes", titles=_titled("속성"), attributes={f"a{number}": True for number in range(160_000)}
    ),
    "very many languages": lambda: _upsert(
        "languages", titles=[LocalizedText(language_code=f"l{number}", text="말") for number in range(160_000)]
    ),
    "a large attribute": lambda: _upsert("large", titles=_titled("큰 값"), attributes={"blob": "카드 " * 300_000}),
    "a thousand documents": lambda: UpsertDocumentsRequest(
        upserts=[
            Upsert(document=Document(id=f"d{number}", titles=_titled(f"{number}"), examples=[f"{number} 카드"]))
            for number in range(1000)
        ]
    ),
    "a thousand invalid documents": lambda: UpsertDocumentsRequest(
        upserts=[Upsert(document=Document(id="", examples=[" "] * 50)) for number in range(1000)]
    ),
    "two million empty documents": lambda: UpsertDocumentsRequest.FromString(b"\x0a\x00" * (MESSAGE_BYTES // 2)),
}

LISTINGS: dict[str, Callable[[], ListDocumentsRequest]] = {
    "a large page": lambda: ListDocumentsRequest(page_size=1000),
    "a filter with ten thousand values": lambda: ListDocumentsRequest(page_size=1000, filter=_in(10_000)),
    "a long page token": lambda: ListDocumentsRequest(page_token="A" * MESSAGE_BYTES),
}

DELETES: dict[str, Callable[[], DeleteDocumentsRequest]] = {
    "a thousand ids": lambda: DeleteDocumentsRequest(deletes=[Delete(id=f"x{number}") for number in range(1000)]),
    "a filter with ten thousand values": lambda: DeleteDocumentsRequest(filter=_in(10_000)),
    "a long id": lambda: DeleteDocumentsRequest(deletes=[Delete(id="가" * 1_300_000)]),
}

GETS: dict[str, Callable[[], GetDocumentRequest]] = {
    name: lambda name=name: GetDocumentRequest(id=name)  # type: ignore[misc]
    for name in ("words", "examples", "numbers", "large", "x" * MESSAGE_BYTES)
}


def imports() -> Iterator[ImportDocumentsRequest]:
    """An import of the large documents of `WRITES`."""
    yield ImportDocumentsRequest(import_id="large")
    for name in ("very many numbers", "a thousand documents", "a thousand invalid documents"):
        yield ImportDocumentsRequest(upserts=WRITES[name]().upserts)


def reflections() -> Iterator[reflection_pb2.ServerReflectionRequest]:
    yield reflection_pb2.ServerReflectionRequest(file_containing_symbol="x" * MESSAGE_BYTES)
    for _ in itertools.repeat(None, 100):
        yield reflection_pb2.ServerReflectionRequest(file_containing_symbol="chaja.v1.SearchService")
