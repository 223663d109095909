"""Compares the servers with what was acknowledged, and with each other."""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import grpc
from google.protobuf.field_mask_pb2 import FieldMask

import chaja
from benchmarks.replicas.replica import Replica
from benchmarks.replicas.traffic import MODES, Written
from chaja.v1 import BatchSearchRequest, Document, GetDocumentRequest, ListDocumentsRequest, Mode, SearchRequest

BATCH_QUERIES = 50
SAME_SECONDS = 60.0
"""Time within which all servers must reach the same change after the last write."""

CALL_SECONDS = 60.0
COMPARED_QUERIES = 300


class Answers(NamedTuple):
    """Differences between the servers.

    Attributes:
        scores: Answers of which a hit or its score differs from the first server's.
        hits: Answers whose hits differ, in any order.
        compared: Number of compared answers.
    """

    scores: int
    hits: int
    compared: int


def wait_until_same(replicas: Sequence[Replica], last: int) -> float:
    """Waits until the searches of all servers see the change `last`; returns how long it took."""
    started = time.monotonic()
    while True:
        seen = []
        for each in replicas:
            with chaja.connect(each.address) as client:
                answer = client.search.Search(SearchRequest(query="the last change"), timeout=CALL_SECONDS)
                seen.append(answer.sequence)
        if min(seen) == max(seen) >= last:
            return time.monotonic() - started
        if time.monotonic() > started + SAME_SECONDS:
            raise TimeoutError(f"the servers see the changes {seen}; the last one is {last}")
        time.sleep(0.05)


def find_losses(replica: Replica, documents: Mapping[str, Written]) -> Iterator[str]:
    """Yields each document of which a server has another state than was acknowledged, or that no search finds."""
    with chaja.connect(replica.address) as client:
        for id, written in documents.items():
            if (found := _document(client, id)) != _expected(written):
                yield f"{replica.address}: {id} is {found}; version {written.version} was acknowledged"
        listed = set(_listed(client))
        live = {id for id, written in documents.items() if written.document is not None}
        yield from (f"{replica.address}: {id} is listed or not, against its acknowledged state" for id in listed ^ live)
        titles = [(id, each.document.titles[0].text) for id, each in documents.items() if each.document is not None]
        for start in range(0, len(titles), BATCH_QUERIES):
            portion = titles[start : start + BATCH_QUERIES]
            requests = [SearchRequest(query=title, mode=Mode.MODE_LEXICAL, limit=1) for _, title in portion]
            answers = client.search.BatchSearch(BatchSearchRequest(requests=requests), timeout=CALL_SECONDS).responses
            for (id, _), answer in zip(portion, answers, strict=True):
                found_versions = [(hit.document_id, hit.version) for hit in answer.hits]
                if found_versions != [(id, documents[id].version)]:
                    yield f"{replica.address}: no search finds {id}: {found_versions}"


def compare_answers(replicas: Sequence[Replica], documents: Mapping[str, Written]) -> Answers:
    """Makes the same searches in all modes on all servers, and compares their answers."""
    titles = [each.document.titles[0].text for each in documents.values() if each.document is not None]
    queries = [*titles[:COMPARED_QUERIES], "번호 7", "문서 3", "없는 말"]
    requests = [SearchRequest(query=query, mode=mode, limit=20) for query in queries for mode in MODES]
    answers: list[list[list[tuple[str, int, float]]]] = []
    for each in replicas:
        of_server = []
        with chaja.connect(each.address) as client:
            for start in range(0, len(requests), BATCH_QUERIES):
                batch = BatchSearchRequest(requests=requests[start : start + BATCH_QUERIES])
                for answer in client.search.BatchSearch(batch, timeout=CALL_SECONDS).responses:
                    of_server.append([(hit.document_id, hit.version, hit.score) for hit in answer.hits])
        answers.append(of_server)
    first, *others = answers
    pairs = [(one, other) for of_server in others for one, other in zip(first, of_server, strict=True)]
    hits = sum(sorted(hit[:2] for hit in one) != sorted(hit[:2] for hit in other) for one, other in pairs)
    return Answers(sum(one != other for one, other in pairs), hits, len(pairs))


def _expected(written: Written) -> Document | None:
    if written.document is None:
        return None
    expected = Document()
    expected.CopyFrom(written.document)
    expected.version = written.version
    return expected


def _document(client: chaja.Client, id: str) -> Document | None:
    try:
        return client.catalog.GetDocument(GetDocumentRequest(id=id), timeout=CALL_SECONDS).document
    except grpc.RpcError as error:
        if error.code() is not grpc.StatusCode.NOT_FOUND:
            raise
        return None


def _listed(client: chaja.Client) -> Iterator[str]:
    token = ""
    while True:
        request = ListDocumentsRequest(page_size=1000, page_token=token, read_mask=FieldMask(paths=["id"]))
        page = client.catalog.ListDocuments(request, timeout=CALL_SECONDS)
        yield from (each.id for each in page.documents)
        if not (token := page.next_page_token):
            return
