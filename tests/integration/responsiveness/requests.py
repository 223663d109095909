"""Requests at the documented limits that are as expensive as possible to read, by name."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

from google.protobuf.internal.encoder import _VarintBytes  # type: ignore[attr-defined]
from grpc_reflection.v1alpha import reflection_pb2

from chaja.v1 import (
    AttributeValue,
    BatchSearchRequest,
    ChangeSynonymsRequest,
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
    SuggestRequest,
    SynonymKind,
    SynonymRule,
    TextKind,
    TextUnit,
    Upsert,
    UpsertDocumentsRequest,
)

MARKS = "\u0301\u0316"
WORDS = "카드를 잃어버렸어요 lost my card 환율 "
EQUAL = SynonymKind.SYNONYM_KIND_EQUAL
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


def _nested(path: list[int], number: int, count: int) -> bytes:
    """Returns an encoded message with empty elements of field `number` in the message at a path of fields."""
    content = bytes([number << 3 | 2, 0]) * count
    for field in reversed(path):
        content = bytes([field << 3 | 2]) + _VarintBytes(len(content)) + content
    return content


QUERIES: dict[str, Callable[[int], SearchRequest]] = {
    "a query of combining marks": lambda n: SearchRequest(query=f"{n}{MARKS * 490}"),
    "a filter with ten thousand values": lambda n: SearchRequest(query=f"카드 {n}", filter=_in(10_000)),
    "a deep filter": lambda n: SearchRequest(query=f"카드 {n}", filter=_deep(), mode=Mode.MODE_HYBRID),
    "a million empty values in a filter": lambda n: SearchRequest.FromString(
        SearchRequest(query=f"{n}").SerializeToString() + _nested([5, 2], 2, MESSAGE_BYTES // 2)
    ),
    "a million empty filters": lambda n: SearchRequest.FromString(
        SearchRequest(query=f"{n}").SerializeToString() + _nested([5, 5], 1, MESSAGE_BYTES // 2)
    ),
    "a long language code": lambda n: SearchRequest(query=f"카드 {n}", language_code="ko-" * 1_300_000),
    "many hits": lambda n: SearchRequest(query=f"카드 {n}", limit=100, mode=Mode.MODE_LEXICAL),
}

TYPED: dict[str, Callable[[int], SuggestRequest]] = {
    "a typed text of combining marks": lambda n: SuggestRequest(text=f"{n}{MARKS * 490}", limit=100),
    "a thousand initials": lambda n: SuggestRequest(text="ㅋㄷㅂㅅ" * 250, limit=100),
    "a filter with ten thousand values": lambda n: SuggestRequest(text=f"카드{n}", filter=_in(10_000)),
    "a deep filter": lambda n: SuggestRequest(text=f"카드{n}", filter=_deep()),
    "a long language code": lambda n: SuggestRequest(text=f"카드{n}", language_code="ko-" * 1_300_000),
    "many suggestions": lambda n: SuggestRequest(
        text="카", limit=100, filter=Filter(none_of=FilterList(filters=[_in(n + 1)])), highlight=TextUnit.TEXT_UNIT_UTF8
    ),
}

BATCHES: dict[str, Callable[[int], BatchSearchRequest]] = {
    "a hundred long queries": lambda n: BatchSearchRequest(
        requests=[SearchRequest(query=_text(f"{n} {number} {WORDS}", 1000)) for number in range(100)]
    ),
    "a hundred queries of combining marks": lambda n: BatchSearchRequest(
        requests=[SearchRequest(query=f"{n} {number}{MARKS * 490}") for number in range(100)]
    ),
    "twenty large filters": lambda n: BatchSearchRequest(
        requests=[SearchRequest(query=f"{n} {number}", filter=_in(5000)) for number in range(20)]
    ),
    "a hundred times a hundred hits": lambda n: BatchSearchRequest(
        requests=[SearchRequest(query=f"{n} {number} 카드", limit=100) for number in range(100)]
    ),
    "two million empty queries": lambda n: BatchSearchRequest.FromString(b"\x0a\x00" * (MESSAGE_BYTES // 2)),
}

ENCODINGS: dict[str, Callable[[int], EncodeRequest]] = {
    "long texts": lambda n: EncodeRequest(texts=[_text(f"{n} {WORDS}", 20_000) for _ in range(60)], truncate=True),
    "long texts without spaces": lambda n: EncodeRequest(texts=[f"{n}{'가나다라' * 4900}"] * 60, truncate=True),
    "texts of combining marks": lambda n: EncodeRequest(texts=[f"{n}{MARKS * 9_900}"] * 100, truncate=True),
    "texts that are too long": lambda n: EncodeRequest(texts=[_text(f"{n} {WORDS}", 20_000) for _ in range(60)]),
    "documents": lambda n: EncodeRequest(
        texts=[_text(f"{n} {WORDS}", 20_000)] * 60, truncate=True, text_kind=TextKind.TEXT_KIND_DOCUMENT
    ),
    "two million empty texts": lambda n: EncodeRequest.FromString(b"\x0a\x00" * (MESSAGE_BYTES // 2)),
}

WRITES: dict[str, Callable[[int], UpsertDocumentsRequest]] = {
    "a text of a million characters": lambda n: _upsert("words", texts=_titled(_text(f"{n} {WORDS}", 990_000))),
    "a text without spaces": lambda n: _upsert("syllables", texts=_titled(_text(f"{n}가나다라", 990_000))),
    "a text of combining marks": lambda n: _upsert("marks", texts=_titled(f"{n}{MARKS * 490_000}")),
    "a text of ligatures": lambda n: _upsert("ligatures", texts=_titled(f"{n} {'ﷺ' * 200_000}")),
    "a title of a million characters": lambda n: _upsert("title", titles=_titled(_text(f"{n} {WORDS}", 990_000))),
    "very many examples": lambda n: _upsert("examples", examples=[f"예 {n} {number}" for number in range(140_000)]),
    "as many examples as are allowed": lambda n: _upsert(
        "examples", examples=[f"예 {n} {number}" for number in range(29_000)]
    ),
    "very many numbers": lambda n: _upsert("numbers", titles=_titled("수"), attributes={"n": [n + 0.5] * 370_000}),
    "as many numbers as are allowed": lambda n: _upsert(
        "numbers", titles=_titled("수"), attributes={"n": [n + 0.5] * 29_000}
    ),
    "very many attributes": lambda n: _upsert(
        "attributes", titles=_titled("속성"), attributes={f"a{number}": True for number in range(160_000)}
    ),
    "very many languages": lambda n: _upsert(
        "languages", titles=[LocalizedText(language_code=f"l{number}", text="말") for number in range(160_000)]
    ),
    "a large attribute": lambda n: _upsert(
        "large", titles=_titled("큰 값"), attributes={"blob": f"{n}{'카드 ' * 300_000}"}
    ),
    "a thousand documents": lambda n: UpsertDocumentsRequest(
        upserts=[
            Upsert(document=Document(id=f"d{number}", titles=_titled(f"{number}"), examples=[f"{n} {number} 카드"]))
            for number in range(1000)
        ]
    ),
    "a thousand invalid documents": lambda n: UpsertDocumentsRequest(
        upserts=[Upsert(document=Document(id="", examples=[" "] * 50)) for number in range(1000)]
    ),
    "two million empty titles": lambda n: UpsertDocumentsRequest.FromString(_nested([1, 1], 2, MESSAGE_BYTES // 2)),
    "two million empty texts": lambda n: UpsertDocumentsRequest.FromString(_nested([1, 1], 3, MESSAGE_BYTES // 2)),
    "two million empty documents": lambda n: UpsertDocumentsRequest.FromString(b"\x0a\x00" * (MESSAGE_BYTES // 2)),
}

LISTINGS: dict[str, Callable[[int], ListDocumentsRequest]] = {
    "a large page": lambda _: ListDocumentsRequest(page_size=1000),
    "a filter with ten thousand values": lambda _: ListDocumentsRequest(page_size=1000, filter=_in(10_000)),
    "a long page token": lambda _: ListDocumentsRequest(page_token="A" * MESSAGE_BYTES),
}

DELETES: dict[str, Callable[[int], DeleteDocumentsRequest]] = {
    "a thousand ids": lambda _: DeleteDocumentsRequest(deletes=[Delete(id=f"x{number}") for number in range(1000)]),
    "a filter with ten thousand values": lambda _: DeleteDocumentsRequest(filter=_in(10_000)),
    "a long id": lambda _: DeleteDocumentsRequest(deletes=[Delete(id="가" * 1_300_000)]),
}

GETS: dict[str, Callable[[int], GetDocumentRequest]] = {
    name: lambda _, name=name: GetDocumentRequest(id=name)  # type: ignore[misc]
    for name in ("words", "examples", "numbers", "large", "x" * MESSAGE_BYTES)
}


def imports(attempt: int) -> Iterator[ImportDocumentsRequest]:
    """An import of the large documents of `WRITES`."""
    yield ImportDocumentsRequest(import_id=f"large {attempt}")
    for name in ("very many numbers", "a thousand documents", "a thousand invalid documents"):
        yield ImportDocumentsRequest(upserts=WRITES[name](attempt).upserts)


def reflections() -> Iterator[reflection_pb2.ServerReflectionRequest]:
    yield reflection_pb2.ServerReflectionRequest(file_containing_symbol="x" * MESSAGE_BYTES)
    for _ in itertools.repeat(None, 100):
        yield reflection_pb2.ServerReflectionRequest(file_containing_symbol="chaja.v1.SearchService")


def _rules(count: int, phrases: int, attempt: int) -> list[SynonymRule]:
    """Returns rules of that many phrases, each of 8 words."""
    return [
        SynonymRule(
            kind=EQUAL,
            phrases=[" ".join(f"{word}{number:x}{place:x}" for word in "가나다라마바사아") for place in range(phrases)],
        )
        for number in range(attempt * count, (attempt + 1) * count)
    ]


RULES: dict[str, Callable[[int], ChangeSynonymsRequest]] = {
    "ten thousand rules": lambda attempt: ChangeSynonymsRequest(add=_rules(10_000, 2, attempt), replace_all=True),
    "thirty thousand phrases": lambda attempt: ChangeSynonymsRequest(add=_rules(1875, 16, attempt), replace_all=True),
    "a rule beside them": lambda attempt: ChangeSynonymsRequest(add=_rules(1, 2, 10_000 + attempt)),
    "rules to add and others to remove": lambda attempt: ChangeSynonymsRequest(
        add=_rules(4000, 2, attempt + 10), remove=_rules(4000, 2, attempt)
    ),
    "ten thousand invalid rules": lambda _: ChangeSynonymsRequest(
        add=[SynonymRule(kind=EQUAL, phrases=["a", "a"])] * 10_000
    ),
    "very many phrases": lambda _: ChangeSynonymsRequest(add=[SynonymRule(kind=EQUAL, phrases=["가"] * 200_000)]),
    "a long phrase": lambda _: ChangeSynonymsRequest(remove=[SynonymRule(kind=EQUAL, phrases=["가" * 1_300_000, "b"])]),
}
