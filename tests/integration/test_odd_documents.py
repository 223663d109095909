"""Unusual documents: each is stored unchanged and found, or rejected with a reason."""

import unicodedata
from collections.abc import Iterator
from typing import Any

import pytest

import chaja
from chaja.v1 import (
    Delete,
    DeleteDocumentsRequest,
    Document,
    Field,
    GetDocumentRequest,
    Hit,
    ListDocumentsRequest,
    LocalizedText,
    Mode,
    SearchRequest,
    Upsert,
    UpsertDocumentsRequest,
    WriteResult,
)
from sample.server_process import ServerProcess, running_server
from tests.integration.scraping import scrape, total
from tests.tiny_bundle import make_bundle

MODES = (Mode.MODE_DENSE, Mode.MODE_LEXICAL, Mode.MODE_HYBRID)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server whose model sees as many tokens as real models do."""
    directory = tmp_path_factory.mktemp("odd")
    bundle = make_bundle(directory / "bundle", max_tokens=512)
    flags = ["--bundle", str(bundle), "--data", str(directory / "data"), "--longest-wait-seconds", "1000"]
    with running_server([*flags, "--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0"]) as server:
        yield server
        assert server.stop() == 0
    assert not [line for line in server.lines if "Traceback" in line]


@pytest.fixture
def client(server: ServerProcess) -> Iterator[chaja.Client]:
    """A client of a server without documents."""
    with chaja.connect(server.address, timeout_seconds=120) as client:
        documents = client.catalog.ListDocuments(ListDocumentsRequest(page_size=1000)).documents
        if documents:
            deletes = [Delete(id=document.id) for document in documents]
            client.catalog.DeleteDocuments(DeleteDocumentsRequest(deletes=deletes))
        yield client


def document(id: str, title: str, *, text: str = "", examples: list[str] | None = None, **attributes: Any) -> Document:
    made = Document(id=id, titles=[LocalizedText(text=title)], examples=examples)
    if text:
        made.texts.append(LocalizedText(text=text))
    made.attributes.update(attributes)
    return made


def write(client: chaja.Client, *documents: Document, request_id: str = "") -> list[WriteResult]:
    """Writes valid documents."""
    upserts = [Upsert(document=each) for each in documents]
    results = client.catalog.UpsertDocuments(UpsertDocumentsRequest(upserts=upserts, request_id=request_id)).results
    assert not [result for result in results if result.HasField("error")], results
    return list(results)


def stored(client: chaja.Client, id: str) -> Document:
    """Returns a document as it was written, without its version."""
    found = client.catalog.GetDocument(GetDocumentRequest(id=id)).document
    assert found.version > 0
    found.ClearField("version")
    return found


def hits(client: chaja.Client, query: str, mode: Mode.ValueType = Mode.MODE_DENSE, limit: int = 3) -> list[Hit]:
    return list(client.search.Search(SearchRequest(query=query, mode=mode, limit=limit)).hits)


@pytest.mark.parametrize(
    "id",
    [
        "with a space",
        " spaces around ",
        "a/b/../c?d=e#f%20",
        "line\nbreak\r\n\ttab",
        "nul\0in the middle",
        "nul\0",
        "\ufeffmark",
        "한글",
        unicodedata.normalize("NFD", "한글"),
        "👩‍👩‍👧‍👦",
        "\u202eturned\u202c",
        "'; DROP TABLE documents; --",
        "%_*[]",
        "x" * 256,
        "\U0010ffff" * 256,
    ],
)
def test_an_id_may_be_anything(client: chaja.Client, id: str) -> None:
    near = [document(other, f"다른 {number}") for number, other in enumerate((id[:-1] or "a", id[:255] + "!", "nul"))]
    write(client, *near)
    written = document(id, "무엇이든 찾는다", examples=["찾아 주세요"], name=id)
    [result] = write(client, written)
    assert result.id == id
    assert stored(client, id) == written
    for mode in MODES:
        assert [(hit.document_id, hit.version) for hit in hits(client, "무엇이든 찾는다", mode, 1)] == [
            (id, result.version)
        ]
    listed = [each.id for each in client.catalog.ListDocuments(ListDocumentsRequest()).documents]
    assert sorted(listed) == listed == sorted({id, *(each.id for each in near)})
    paged, token = [], ""
    while True:
        page = client.catalog.ListDocuments(ListDocumentsRequest(page_size=1, page_token=token))
        paged += [each.id for each in page.documents]
        if not (token := page.next_page_token):
            break
    assert paged == listed
    answer = client.catalog.DeleteDocuments(DeleteDocumentsRequest(deletes=[Delete(id=id)]))
    assert answer.deleted_count == 1
    assert id not in [hit.document_id for mode in MODES for hit in hits(client, "무엇이든 찾는다", mode)]


def test_the_end_of_a_megabyte_of_text_is_found(client: chaja.Client) -> None:
    ending = "공항에서 잃어버린 파란 우산을 찾습니다"
    filler = "회원은 약관에 따라 서비스를 이용한다. "
    text = (filler * (1_000_000 // len(filler)))[: 999_000 - len(ending)] + " " + ending
    large = document("large", "긴 글", text=text)
    write(client, large, document("small", "짧은 글", text="공항 버스 시간표"))
    assert stored(client, "large") == large
    for mode in MODES:
        found = {hit.document_id: hit for hit in hits(client, ending, mode)}
        assert "large" in found, mode
        if mode != Mode.MODE_LEXICAL:
            match = found["large"].match
            assert (match.field, match.end) == (Field.FIELD_TEXT, len(text))
            assert ending in text[match.start : match.end]
    assert hits(client, ending)[0].document_id == "large"


@pytest.mark.parametrize(
    "title",
    [
        "🎉 축하 파티 👩‍👩‍👧‍👦 🏳️‍🌈",
        "مرحبا بالعالم",
        "שלום עולם and left to right",
        "\u202eturned around\u202c",
        "ㄱㄴㄷ ㅏㅑㅓ",
        "Ａｂｃ１２３ full width",
        "zero\u200bwidth\u200djoined",
        "e\u0301\u0302\u0303" * 20,
        unicodedata.normalize("NFD", "각하의 결정"),
        "nul\0inside",
        "\U00020000\U0002a6d6 rare",
        "long" * 400,
    ],
)
def test_titles_of_any_script_are_kept_and_found(client: chaja.Client, title: str) -> None:
    written = document("odd", title, examples=[f"{title} 예"])
    write(client, written, document("other", "환율 조회"))
    assert stored(client, "odd") == written
    query = title[:500]
    assert hits(client, query, Mode.MODE_HYBRID)[0].document_id == "odd"


def encoded_texts(server: ServerProcess) -> float:
    """Returns the number of texts that the server has encoded."""
    return total(scrape(server.metrics_url), "chaja_batch_texts_sum")


def test_of_ten_thousand_examples_only_the_new_one_is_encoded(client: chaja.Client, server: ServerProcess) -> None:
    examples = [f"{number} 번째로 묻는 말" for number in range(10_000)]
    before = encoded_texts(server)
    [first] = write(client, document("asked", "많이 묻는 것", examples=examples))
    assert encoded_texts(server) == before + 10_001, "the title and each example"
    [second] = write(client, document("asked", "많이 묻는 것", examples=[*examples, "새로 묻는 말 하나"]))
    assert second.version > first.version
    assert encoded_texts(server) == before + 10_002
    for query in ("새로 묻는 말 하나", "9999 번째로 묻는 말"):
        first_hit = hits(client, query)[0]
        assert (first_hit.document_id, first_hit.match.example) == ("asked", query)
    assert len(hits(client, "번째로 묻는 말", limit=10)) == 1, "a document is one hit, even if it has many vectors"


def test_many_and_large_attributes_are_kept(client: chaja.Client) -> None:
    written = document("many", "속성이 많다")
    written.attributes.update({f"이름 {number}": f"값 {number}" for number in range(5000)})
    written.attributes.update({"list": [f"값 {number}" for number in range(20_000)], "long": "가" * 200_000})
    written.attributes.update({"": "no name", "a.b[0]": True, "zero": 0, "minus": -0.5, "empty": []})
    written.attributes.update({"numbers": [2.0**53, -(2.0**53), 2.0**53 + 2, 1e300, 5e-324, 0.1]})
    write(client, written)
    assert stored(client, "many") == written
    request = SearchRequest(query="속성이 많다", limit=1)
    request.filter.equals.attribute = "list"
    request.filter.equals.value.string_value = "값 19999"
    [hit] = client.search.Search(request).hits
    assert hit.attributes == written.attributes
