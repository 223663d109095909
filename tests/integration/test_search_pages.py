"""Pages of a search on a running server."""

from pathlib import Path

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask

import chaja
from chaja.v1 import (
    BatchSearchRequest,
    Delete,
    DeleteDocumentsRequest,
    Document,
    GetServerInfoRequest,
    Hit,
    LocalizedText,
    Mode,
    SearchRequest,
    Upsert,
    UpsertDocumentsRequest,
)
from sample.server_process import ServerProcess, running_server
from tests.conftest import SAMPLE_CATALOGUE, server_flags

QUERY = "카드를 잃어버렸어요"


def pages_of(client: chaja.Client, request: SearchRequest, *, most: int = 1000) -> list[list[Hit]]:
    """Returns the hits of each page."""
    asked = SearchRequest()
    asked.CopyFrom(request)
    pages: list[list[Hit]] = []
    while len(pages) < most:
        response = client.search.Search(asked)
        pages.append(list(response.hits))
        asked.page_token = response.next_page_token
        if not asked.page_token:
            break
    return pages


def test_pages_together_are_the_answer_with_a_larger_limit(tiny_server: ServerProcess) -> None:
    with chaja.connect(tiny_server.address) as client:
        for mode in Mode.values():
            whole = client.search.Search(SearchRequest(query=QUERY, mode=mode, limit=100)).hits
            pages = pages_of(client, SearchRequest(query=QUERY, mode=mode, limit=7))
            hits = [hit for page in pages for hit in page]
            assert hits[:100] == list(whole)
            assert len({hit.document_id for hit in hits}) == len(hits)
            assert all(len(page) == 7 for page in pages[:-1])
            assert pages[-1]


def test_a_search_of_the_whole_catalogue_ends(tiny_server: ServerProcess) -> None:
    with chaja.connect(tiny_server.address) as client:
        documents = client.info.GetServerInfo(GetServerInfoRequest()).catalogue.document_count
        pages = pages_of(client, SearchRequest(query=QUERY, limit=100, read_mask=FieldMask(paths=["title"])))
    assert [len(page) for page in pages] == [100] * (documents // 100) + [documents % 100]


def test_batches_and_streams_have_pages_too(tiny_server: ServerProcess) -> None:
    request = SearchRequest(query=QUERY, limit=3)
    with chaja.connect(tiny_server.address) as client:
        request.page_token = client.search.Search(request).next_page_token
        second = client.search.Search(request)
        (batched,) = client.search.BatchSearch(BatchSearchRequest(requests=[request])).responses
        (streamed,) = client.search.SearchStream(iter([request]))
        assert second.hits == batched.hits == streamed.response.hits
        assert second.next_page_token == batched.next_page_token == streamed.response.next_page_token
        request.query = "대출"
        with pytest.raises(grpc.RpcError, match=r"requests\[0\].page_token: belongs to another query") as raised:
            client.search.BatchSearch(BatchSearchRequest(requests=[request]))
        assert raised.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        (refused,) = client.search.SearchStream(iter([request]))
        assert refused.error.reason == "INVALID_REQUEST"


def test_writes_between_pages_repeat_no_hit(tiny_bundle: Path, tmp_path: Path) -> None:
    def upsert(number: int) -> Upsert:
        title = LocalizedText(language_code="ko", text=f"페이지 시험 {number}")
        return Upsert(document=Document(id=f"{number}", titles=[title]))

    flags = server_flags(tiny_bundle, SAMPLE_CATALOGUE, "--data", str(tmp_path / "data"), "--max-paged-hits", "9")
    del flags[flags.index("--catalogue") : flags.index("--catalogue") + 2]
    with running_server(flags) as server, chaja.connect(server.address) as client:
        client.catalog.UpsertDocuments(UpsertDocumentsRequest(upserts=map(upsert, range(10))))
        request = SearchRequest(query="페이지 시험", limit=4)
        assert [len(page) for page in pages_of(client, request)] == [4, 4, 1], "the last page is cut at the bound"
        first = client.search.Search(request)
        deleted = first.hits[0].document_id
        client.catalog.DeleteDocuments(DeleteDocumentsRequest(deletes=[Delete(id=deleted)]))
        client.catalog.UpsertDocuments(UpsertDocumentsRequest(upserts=map(upsert, range(10, 12))))
        request.page_token = first.next_page_token
        second = client.search.Search(request)
    ids = [hit.document_id for hit in (*first.hits, *second.hits)]
    assert len(ids) == len(set(ids))
    assert second.sequence > first.sequence
