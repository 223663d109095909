"""Answers of large documents: bounded, refused before they take memory, and readable in part."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.rpc.error_details_pb2 import ErrorInfo

import chaja
from chaja.v1 import (
    BatchSearchRequest,
    BatchSearchResponse,
    Document,
    EncodeRequest,
    GetDocumentRequest,
    GetServerInfoRequest,
    ListDocumentsRequest,
    LocalizedText,
    Mode,
    SearchRequest,
    Upsert,
    UpsertDocumentsRequest,
    WatchChangesRequest,
)
from sample.server_process import ServerProcess, running_server
from tests.conftest import server_flags
from tests.integration.errors import detail_of, error_of
from tests.integration.scraping import HANDLED, scrape_until, total
from tests.integration.serving import health_of
from tests.integration.vitals import MEGABYTE, resident_bytes

Code = grpc.StatusCode
DOCUMENTS = 100
MAX_BYTES = 4_194_304
"""Size of the largest message that gRPC clients receive by default."""

MANUAL = "가나다라마바사아자차" * 10_000  # 300 KB in UTF-8


def document(number: int) -> Document:
    made = Document(id=f"{number:03}", titles=[LocalizedText(language_code="ko", text=f"안내서 {number}")])
    made.attributes.update({"manual": MANUAL, "number": number})
    return made


@pytest.fixture(scope="module")
def server(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server of 100 documents with an attribute of 300 KB each."""
    directory = tmp_path_factory.mktemp("large")
    catalogue = directory / "catalogue.jsonl"
    catalogue.write_text(json.dumps({"id": "small", "title": "안내"}) + "\n", encoding="utf-8")
    with running_server(server_flags(tiny_bundle, catalogue, "--data", str(directory / "data"))) as server:
        with chaja.connect(server.address) as client:
            for start in range(0, DOCUMENTS, 10):
                upserts = [Upsert(document=document(number)) for number in range(start, start + 10)]
                results = client.catalog.UpsertDocuments(UpsertDocumentsRequest(upserts=upserts), timeout=60).results
                assert all(result.changed for result in results)
        yield server


@pytest.fixture
def client(server: ServerProcess) -> Iterator[chaja.Client]:
    """A client with gRPC's own limit on messages."""
    with chaja.Client(grpc.insecure_channel(server.address)) as client:
        yield client


def query(number: int, limit: int = 100, *paths: str) -> SearchRequest:
    return SearchRequest(query=f"안내서 {number}", limit=limit, mode=Mode.MODE_HYBRID, read_mask=FieldMask(paths=paths))


def batch(count: int, limit: int, *paths: str) -> BatchSearchRequest:
    return BatchSearchRequest(requests=[query(number, limit, *paths) for number in range(count)])


def reason_of(error: Any) -> str:
    info: ErrorInfo = detail_of(error, ErrorInfo())
    return str(info.reason)


def refused(call: Any, *words: str) -> None:
    error = error_of(call)
    assert error.code() is Code.RESOURCE_EXHAUSTED
    assert reason_of(error) == "RESPONSE_TOO_LARGE"
    assert dict(error.trailing_metadata())["grpc-retry-pushback-ms"] == "-1", "clients must not repeat it"
    for word in (str(MAX_BYTES), *words):
        assert word in error.details()


def test_a_batch_with_too_large_an_answer_is_refused_and_takes_no_memory(
    server: ServerProcess, client: chaja.Client
) -> None:
    client.search.BatchSearch(batch(80, 100, "title"), timeout=60)  # Loads what every batch needs.
    before = resident_bytes(server.process.pid)
    with ThreadPoolExecutor(1) as threads:
        call = threads.submit(
            refused, lambda: client.search.BatchSearch(batch(80, 100), timeout=60), "limit", "read_mask"
        )
        assert health_of(server.address, "liveness") == 1
        call.result()
    assert resident_bytes(server.process.pid, peak=True) < before + 100 * MEGABYTE
    for _ in range(20):
        refused(lambda: client.search.BatchSearch(batch(80, 100), timeout=60), "fewer queries")
    assert resident_bytes(server.process.pid, peak=True) < before + 100 * MEGABYTE
    labels = {"grpc_method": "BatchSearch", "grpc_code": "ResourceExhausted"}
    scrape_until(server.metrics_url, lambda samples: total(samples, HANDLED, **labels) == 21)


def test_sixteen_callers_with_the_largest_answers_take_bounded_memory(server: ServerProcess) -> None:
    def call(number: int) -> int:
        with chaja.Client(grpc.insecure_channel(server.address)) as client:
            size = 0
            for _ in range(4):
                response: BatchSearchResponse = client.search.BatchSearch(batch(13, 1), timeout=60)
                size = response.ByteSize()
        return size

    before = resident_bytes(server.process.pid)
    with ThreadPoolExecutor(16) as threads:
        sizes = list(threads.map(call, range(16)))
    assert min(sizes) > 0.9 * MAX_BYTES
    assert resident_bytes(server.process.pid, peak=True) < before + 200 * MEGABYTE


def test_a_search_with_too_large_an_answer_is_refused_unless_it_asks_for_less(client: chaja.Client) -> None:
    refused(lambda: client.search.Search(query(7)), "ask for fewer hits (limit) or fewer of their fields (read_mask)")
    assert len(client.search.Search(query(7, 10)).hits) == 10
    hits = client.search.Search(query(7, 100, "title", "attributes.number")).hits
    assert len(hits) == 100
    assert hits[0].document_id == "007"
    assert hits[0].title == "안내서 7"
    assert dict(hits[0].attributes) == {"number": 7}
    assert (hits[0].version, hits[0].HasField("match"), hits[0].HasField("dense_score")) == (0, False, False)
    assert hits[0].score > 2, "an equal title; the score is always returned"


def test_the_same_batch_is_answered_without_the_large_attribute(client: chaja.Client) -> None:
    response = client.search.BatchSearch(batch(80, 100, "match", "attributes.number", "dense_score"), timeout=60)
    assert [len(each.hits) for each in response.responses] == [100] * 80
    for number, each in enumerate(response.responses):
        assert dict(each.hits[0].attributes) == {"number": number}
        assert each.hits[0].HasField("match")
        assert each.hits[0].HasField("dense_score")
        assert not each.hits[0].title


def test_hits_with_different_masks_do_not_mix(client: chaja.Client) -> None:
    masks: list[tuple[str, ...]] = [("title",), (), ("version",), ("attributes.none",), ("title",), ("*",)]
    hits = [client.search.Search(query(3, 1, *paths)).hits[0] for paths in masks]
    assert [bool(hit.title) for hit in hits] == [True, True, False, False, True, True]
    assert [bool(hit.version) for hit in hits] == [False, True, True, False, False, True]
    assert [sorted(hit.attributes) for hit in hits] == [[], ["manual", "number"], [], [], [], ["manual", "number"]]


def test_a_too_large_answer_takes_its_place_in_a_stream(client: chaja.Client) -> None:
    requests = [query(1, 1), query(2, 100), query(3, 1), query(4, 100, "title")] * 5
    results = list(client.search.SearchStream(iter(requests), timeout=60))
    assert [each.error.reason for each in results] == ["", "RESPONSE_TOO_LARGE", "", ""] * 5
    assert [each.error.code for each in results] == [0, Code.RESOURCE_EXHAUSTED.value[0], 0, 0] * 5
    assert [len(each.response.hits) for each in results] == [1, 0, 1, 100] * 5
    assert max(each.ByteSize() for each in results) <= MAX_BYTES


def test_streams_that_are_not_read_hold_little_memory(server: ServerProcess) -> None:
    before = resident_bytes(server.process.pid)
    with chaja.Client(grpc.insecure_channel(server.address)) as client:
        streams = [client.search.SearchStream(iter([query(1, 12)] * 32), timeout=60) for _ in range(8)]
        for stream in streams:
            next(stream)  # The server has answered, and has 31 more queries of each stream.
        for _ in range(5):
            client.search.Search(query(1, 1))
        assert resident_bytes(server.process.pid, peak=True) < before + 200 * MEGABYTE
        for stream in streams:
            assert sum(len(each.response.hits) for each in stream) == 31 * 12


def test_pages_of_large_documents_are_bounded_and_complete(client: chaja.Client) -> None:
    ids: list[str] = []
    token = ""
    while True:
        request = ListDocumentsRequest(page_size=1000, page_token=token)
        page = client.catalog.ListDocuments(request)
        assert page.documents
        assert page.ByteSize() <= MAX_BYTES
        ids += [each.id for each in page.documents]
        token = page.next_page_token
        if not token:
            break
    assert ids == [f"{number:03}" for number in range(DOCUMENTS)] + ["small"]


def test_documents_are_listed_watched_and_read_in_part(client: chaja.Client) -> None:
    mask = FieldMask(paths=["titles", "attributes.number"])
    page = client.catalog.ListDocuments(ListDocumentsRequest(page_size=1000, read_mask=mask))
    assert not page.next_page_token
    expected = [Document(id=f"{number:03}", titles=document(number).titles) for number in range(DOCUMENTS)]
    for number, each in enumerate(expected):
        each.attributes.update({"number": number})
    assert list(page.documents)[:-1] == expected
    assert client.catalog.GetDocument(GetDocumentRequest(id="007", read_mask=mask)).document == expected[7]
    changes = client.catalog.WatchChanges(WatchChangesRequest(read_mask=mask))
    watched: dict[str, Document] = {}
    while len(watched) < DOCUMENTS + 1:
        for change in next(changes).changes:
            watched[change.document.id] = change.document
            assert change.sequence
    changes.cancel()
    assert [watched[each.id] for each in expected] == expected


def test_changes_of_large_documents_are_bounded(client: chaja.Client) -> None:
    seen = 0
    changes = client.catalog.WatchChanges(WatchChangesRequest())
    for response in changes:
        assert response.ByteSize() < 700_000
        seen += len(response.changes)
        if seen == DOCUMENTS + 1:
            break
    changes.cancel()


@pytest.mark.parametrize("method", ["Search", "BatchSearch", "GetDocument", "ListDocuments", "WatchChanges"])
def test_an_unknown_path_is_refused_with_its_place_and_the_known_fields(client: chaja.Client, method: str) -> None:
    mask = FieldMask(paths=["price"])
    calls = {
        "Search": lambda: client.search.Search(SearchRequest(query="a", read_mask=mask)),
        "BatchSearch": lambda: client.search.BatchSearch(
            BatchSearchRequest(requests=[SearchRequest(query="a"), SearchRequest(query="a", read_mask=mask)])
        ),
        "GetDocument": lambda: client.catalog.GetDocument(GetDocumentRequest(id="000", read_mask=mask)),
        "ListDocuments": lambda: client.catalog.ListDocuments(ListDocumentsRequest(read_mask=mask)),
        "WatchChanges": lambda: next(client.catalog.WatchChanges(WatchChangesRequest(read_mask=mask))),
    }
    error = error_of(calls[method])
    assert error.code() is Code.INVALID_ARGUMENT
    place = "requests[1].read_mask" if method == "BatchSearch" else "read_mask"
    assert error.details().startswith(f"{place}: has the unknown path 'price'")
    assert "attributes.NAME" in error.details()


@pytest.fixture(scope="module")
def narrow_server(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server whose bound is lower than one document of its catalogue file."""
    directory = tmp_path_factory.mktemp("narrow")
    catalogue = directory / "catalogue.jsonl"
    lines = [
        {"id": "a", "title": "환율", "attributes": {"manual": "x" * 20_000, "number": 1}},
        {"id": "b", "title": "송금", "attributes": {"number": 2}},
    ]
    catalogue.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    flags = ["--data", str(directory / "data"), "--max-response-bytes", "20000"]
    with running_server(server_flags(tiny_bundle, catalogue, *flags)) as server:
        yield server


def test_the_bound_is_a_setting_that_the_info_reports(narrow_server: ServerProcess, server: ServerProcess) -> None:
    for each, expected in ((narrow_server, 20_000), (server, MAX_BYTES)):
        with chaja.connect(each.address) as client:
            assert client.info.GetServerInfo(GetServerInfoRequest()).limits.max_response_bytes == expected


def test_a_document_above_the_bound_is_named_and_can_be_read_in_part(narrow_server: ServerProcess) -> None:
    def refused_as_too_large(call: Any) -> None:
        error = error_of(call)
        assert (error.code(), reason_of(error)) == (Code.RESOURCE_EXHAUSTED, "RESPONSE_TOO_LARGE")
        assert "document 'a' is too large: ask for fewer of its fields (read_mask)" in error.details()

    mask = FieldMask(paths=["attributes.number"])
    with chaja.connect(narrow_server.address) as client:
        refused_as_too_large(lambda: client.catalog.GetDocument(GetDocumentRequest(id="a")))
        refused_as_too_large(lambda: client.catalog.ListDocuments(ListDocumentsRequest()))
        refused_as_too_large(lambda: list(client.catalog.WatchChanges(WatchChangesRequest(), timeout=20)))
        read = client.catalog.GetDocument(GetDocumentRequest(id="a", read_mask=mask)).document
        assert dict(read.attributes) == {"number": 1}
        page = client.catalog.ListDocuments(ListDocumentsRequest(read_mask=mask))
        assert [dict(each.attributes) for each in page.documents] == [{"number": 1}, {"number": 2}]
        assert reason_of(error_of(client.search.Search, SearchRequest(query="환율"))) == "RESPONSE_TOO_LARGE"
        assert len(client.search.Search(SearchRequest(query="환율", read_mask=mask)).hits) == 2


def test_a_document_above_the_bound_cannot_be_written(narrow_server: ServerProcess) -> None:
    written = Document(id="c", titles=[LocalizedText(text="제목")])
    written.attributes.update({"manual": "x" * 20_000})
    with chaja.connect(narrow_server.address) as client:
        upserts = [Upsert(document=written)]
        (result,) = client.catalog.UpsertDocuments(UpsertDocumentsRequest(upserts=upserts)).results
    assert result.error.reason == "INVALID_REQUEST"
    assert "so that an answer can hold it" in result.error.message


def test_more_vectors_than_an_answer_holds_are_refused_before_they_are_encoded(narrow_server: ServerProcess) -> None:
    with chaja.connect(narrow_server.address) as client:
        error = error_of(client.encode.Encode, EncodeRequest(texts=["글"] * 200))
        assert reason_of(error) == "RESPONSE_TOO_LARGE"
        most = int(error.details().split("at most ")[1].split()[0])
        response = client.encode.Encode(EncodeRequest(texts=["글"] * most))
        assert response.ByteSize() <= 20_000


def test_results_of_writes_fit_however_long_their_ids_and_errors_are(narrow_server: ServerProcess) -> None:
    upserts = [Upsert(document=Document(id=f"{number:03}{'글' * 253}")) for number in range(200)]
    with chaja.connect(narrow_server.address) as client:
        response = client.catalog.UpsertDocuments(UpsertDocumentsRequest(upserts=upserts))
    assert response.ByteSize() <= 20_000
    assert [each.error.reason for each in response.results] == ["INVALID_REQUEST"] * 200
