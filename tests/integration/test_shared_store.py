"""Two servers of one store in PostgreSQL: each continues what a client began at the other, and finds its changes."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import grpc
import pytest
from google.rpc.error_details_pb2 import ErrorInfo

import chaja
from chaja.v1 import (
    Change,
    ChangeSynonymsRequest,
    Delete,
    DeleteDocumentsRequest,
    DeleteRule,
    DeleteRulesRequest,
    Document,
    FeedbackEvent,
    FeedbackKind,
    GetDocumentRequest,
    GetServerInfoRequest,
    ImportDocumentsRequest,
    LearnRequest,
    ListDocumentsRequest,
    ListPromotionsRequest,
    ListRulesRequest,
    LocalizedText,
    MerchandisingRule,
    Mode,
    PutRule,
    PutRulesRequest,
    QueryMatch,
    RecordFeedbackRequest,
    SearchRequest,
    SuggestRequest,
    SynonymKind,
    SynonymRule,
    Upsert,
    UpsertDocumentsRequest,
    WatchChangesRequest,
    WriteResult,
)
from sample.server_process import ServerEnded, running_server
from server.catalogue.location import text_of
from tests.conftest import SAMPLE_CATALOGUE, server_flags
from tests.integration.errors import code_of, detail_of, error_of
from tests.integration.replicas import Replicas, three_replicas
from tests.integration.serving import wait_until
from tests.postgresql import Cluster, end_connections, make_newer


@pytest.fixture(scope="module")
def replicas(tiny_bundle: Path, cluster: Cluster) -> Iterator[Replicas]:
    with three_replicas(tiny_bundle, cluster.new_database()) as replicas:
        yield replicas


@pytest.fixture
def clients(replicas: Replicas) -> tuple[chaja.Client, chaja.Client, chaja.Client]:
    """A client of each server alone."""
    first, second, third = (each.client for each in replicas)
    return first, second, third


Clients = tuple[chaja.Client, chaja.Client, chaja.Client]


def document(id: str, title: str = "") -> Document:
    return Document(id=id, titles=[LocalizedText(text=title or f"title {id}")])


def put(client: chaja.Client, *documents: Document, request_id: str = "") -> Sequence[WriteResult]:
    upserts = [Upsert(document=each) for each in documents]
    return client.catalog.UpsertDocuments(UpsertDocumentsRequest(upserts=upserts, request_id=request_id)).results


def delete(client: chaja.Client, id: str) -> None:
    client.catalog.DeleteDocuments(DeleteDocumentsRequest(deletes=[Delete(id=id)]))


def found(client: chaja.Client, query: str) -> list[str]:
    """Returns the ids of the documents with the words of a query."""
    return [hit.document_id for hit in client.search.Search(SearchRequest(query=query, mode=Mode.MODE_LEXICAL)).hits]


def at_the_same_time(*works: Callable[[], Any]) -> list[Any]:
    with ThreadPoolExecutor(len(works)) as threads:
        return [each.result() for each in [threads.submit(work) for work in works]]


def test_the_others_find_a_write_and_no_longer_a_deleted_document(clients: Clients) -> None:
    first, second, third = clients
    put(first, document("coupon", "환전 우대 쿠폰"))
    for client in (second, third):
        wait_until(lambda client=client: "coupon" in found(client, "환전 우대 쿠폰"))  # type: ignore[misc]
        suggested = client.suggest.Suggest(SuggestRequest(text="환전 우")).suggestions
        assert "coupon" in [each.document_id for each in suggested]
    delete(second, "coupon")
    assert code_of(first.catalog.GetDocument, GetDocumentRequest(id="coupon")) is grpc.StatusCode.NOT_FOUND
    for client in (first, third):
        wait_until(lambda client=client: "coupon" not in found(client, "환전 우대 쿠폰"))  # type: ignore[misc]
        assert not client.suggest.Suggest(SuggestRequest(text="환전 우대 쿠")).suggestions


def test_a_search_at_another_server_sees_the_write_that_it_asks_for(clients: Clients) -> None:
    for number in range(20):
        writer, searcher = clients[number % 3], clients[(number + 1) % 3]
        (result,) = put(writer, document("own", f"own {number}"))
        request = SearchRequest(query=f"own {number}", mode=Mode.MODE_LEXICAL, min_sequence=result.version)
        response = searcher.search.Search(request)
        assert response.sequence >= result.version
        assert (response.hits[0].document_id, response.hits[0].title) == ("own", f"own {number}")


def test_a_repeated_call_gets_the_answer_of_another_server(clients: Clients) -> None:
    first, second, third = clients
    for id in (f"once-{number}" for number in range(10)):
        answers = at_the_same_time(
            *(lambda each=each, id=id: list(put(each, document(id), request_id=id)) for each in clients)
        )
        assert answers[0] == answers[1] == answers[2]
        assert answers[0][0].changed
        put(second, document(id, "another title"))
        assert list(put(third, document(id), request_id=id)) == answers[0]
        assert first.catalog.GetDocument(GetDocumentRequest(id=id)).document.titles[0].text == "another title"


def test_one_of_several_servers_wins_a_conflict(clients: Clients) -> None:
    (result,) = put(clients[0], document("contested", "begin"))
    version = result.version
    for number in range(10):

        def write(client: chaja.Client, title: str, version: int = version) -> WriteResult:
            upsert = Upsert(document=document("contested", title), expected_version=version)
            return client.catalog.UpsertDocuments(UpsertDocumentsRequest(upserts=[upsert])).results[0]

        titles = [f"{name} {number}" for name in "abc"]
        results = at_the_same_time(
            *(lambda each=each, title=title: write(each, title) for each, title in zip(clients, titles, strict=True))
        )
        (winner,) = [index for index, each in enumerate(results) if each.changed]
        assert {each.error.reason for index, each in enumerate(results) if index != winner} == {"CONFLICT"}
        for client in clients:
            stored = client.catalog.GetDocument(GetDocumentRequest(id="contested")).document
            assert stored.titles[0].text == titles[winner]
        version = results[winner].version


def test_a_watch_sees_the_changes_of_the_other_servers_in_their_order(clients: Clients) -> None:
    first, second, third = clients
    (start,) = put(first, document("watched-0"))
    watch: Any = second.catalog.WatchChanges(WatchChangesRequest(after_sequence=start.version), timeout=60)
    changes: list[Change] = []
    writers = (third, first, third, first)
    for number, writer in enumerate(writers, 1):
        put(writer, document(f"watched-{number}"))
    delete(third, "watched-0")
    while not changes or changes[-1].deleted_id != "watched-0":
        changes += next(watch).changes
    watch.cancel()
    assert [each.document.id for each in changes[:-1]] == [f"watched-{number}" for number in range(1, 5)]
    sequences = [each.sequence for each in changes]
    assert sequences == sorted(set(sequences))
    rest: Any = third.catalog.WatchChanges(WatchChangesRequest(after_sequence=sequences[1]), timeout=60)
    assert next(rest).changes[0].document.id == "watched-3", "a watch continues at another server"
    rest.cancel()


def test_a_watch_from_a_change_that_its_server_has_not_seen_waits_for_later_ones(clients: Clients) -> None:
    first, second, third = clients
    for number in range(20):
        (start,) = put(first, document("again", f"{number}"))
        watch: Any = second.catalog.WatchChanges(WatchChangesRequest(after_sequence=start.version), timeout=60)
        put(third, document("later", f"{number}"))
        assert [each.document.id for each in next(watch).changes] == ["later"]
        watch.cancel()


def test_lists_and_searches_go_to_their_next_page_at_another_server(clients: Clients) -> None:
    first, second, third = clients
    put(first, *(document(f"page-{number}", "쪽수 세기") for number in range(6)))
    wait_until(lambda: all(len(found(each, "쪽수 세기")) >= 6 for each in clients))
    listed = ListDocumentsRequest(page_size=2)
    ids: list[str] = []
    for client in (first, second, third, first):
        answer = client.catalog.ListDocuments(listed)
        ids += [each.id for each in answer.documents]
        listed.page_token = answer.next_page_token
    assert ids == sorted(set(ids))
    request = SearchRequest(query="쪽수 세기", mode=Mode.MODE_LEXICAL, limit=2)
    hits: list[str] = []
    for client in clients:
        response = client.search.Search(request)
        hits += [each.document_id for each in response.hits]
        request.page_token = response.next_page_token
    assert sorted(hits) == [f"page-{number}" for number in range(6)]


def test_rules_of_one_server_hold_at_the_others(clients: Clients) -> None:
    first, second, third = clients
    put(first, document("clipper", "손톱깎이 세트"), document("other", "다른 것"))
    rule = SynonymRule(kind=SynonymKind.SYNONYM_KIND_EQUAL, phrases=["네일클리퍼", "손톱깎이"])
    first.synonyms.ChangeSynonyms(ChangeSynonymsRequest(add=[rule]))
    wait_until(lambda: "clipper" in found(second, "네일클리퍼"))
    third.synonyms.ChangeSynonyms(ChangeSynonymsRequest(remove=[rule]))
    wait_until(lambda: "clipper" not in found(second, "네일클리퍼"))
    pin = MerchandisingRule(id="pin", query="손톱깎이", match=QueryMatch.QUERY_MATCH_CONTAINS, pinned_ids=["other"])
    (put_rule,) = first.merchandising.PutRules(PutRulesRequest(puts=[PutRule(rule=pin)])).results
    wait_until(lambda: found(third, "손톱깎이")[:1] == ["other"])
    stale = PutRulesRequest(puts=[PutRule(rule=pin, expected_version=put_rule.version - 1)])
    assert code_of(second.merchandising.PutRules, stale) is grpc.StatusCode.ABORTED
    second.merchandising.DeleteRules(DeleteRulesRequest(deletes=[DeleteRule(id="pin")]))
    assert not third.merchandising.ListRules(ListRulesRequest()).rules
    wait_until(lambda: found(first, "손톱깎이")[:1] == ["clipper"])


def test_feedback_of_all_servers_teaches_all(clients: Clients) -> None:
    query = "지갑을 잃어버렸어"

    def click(user: str) -> RecordFeedbackRequest:
        clicked = FeedbackKind.FEEDBACK_KIND_CLICKED
        event = FeedbackEvent(
            search_id=user, query=query, document_id="electricity-bill", kind=clicked, user_key=user, rank=1
        )
        return RecordFeedbackRequest(events=[event])

    first, second, third = clients
    assert "electricity-bill" not in found(third, query)[:1]
    assert first.feedback.RecordFeedback(click("a")).recorded_count == 1
    assert second.feedback.RecordFeedback(click("b")).recorded_count == 1
    assert second.feedback.RecordFeedback(click("a")).known_count == 1, "an event that was sent twice counts once"
    learnt = at_the_same_time(
        *(lambda each=each: each.feedback.Learn(LearnRequest(), timeout=120).added_count for each in clients)
    )
    assert sorted(learnt) == [0, 0, 1]
    for client in clients:
        (promotion,) = client.feedback.ListPromotions(ListPromotionsRequest()).promotions
        assert promotion.document_id == "electricity-bill"
        wait_until(lambda client=client: found(client, query)[:1] == ["electricity-bill"])  # type: ignore[misc]
    assert third.feedback.Learn(LearnRequest(undo=True), timeout=120).withdrawn_count == 1
    wait_until(lambda: found(first, query)[:1] != ["electricity-bill"])


def test_after_the_migration_of_a_newer_version_a_server_uses_the_connections_that_it_has(
    tiny_bundle: Path, cluster: Cluster
) -> None:
    url = cluster.new_database()
    with Replicas(tiny_bundle, url) as replicas:
        client = replicas.add().client
        put(client, document("before"))
        make_newer(url)
        codes = [code_of(put, client, document(f"{number}")) for number in range(10)]
        assert grpc.StatusCode.OK in codes
        with pytest.raises(ServerEnded, match="was migrated by a newer version of Chaja"):
            replicas.add()
        end_connections(cluster, url)
        error = error_of(put, client, document("after"))
        assert (error.code(), detail_of(error, ErrorInfo()).reason) == (
            grpc.StatusCode.UNAVAILABLE,
            "STORE_UNAVAILABLE",
        )


class Import:
    """A call of ImportDocuments that sends its messages one by one."""

    def __init__(self, client: chaja.Client, import_id: str) -> None:
        self._requests: SimpleQueue[ImportDocumentsRequest | None] = SimpleQueue()
        self._call: Any = client.catalog.ImportDocuments(iter(self._requests.get, None), timeout=60)
        self._requests.put(ImportDocumentsRequest(import_id=import_id))
        self.position: int = next(self._call).position

    def send(self, *documents: Document) -> None:
        """Writes documents; `position` is that of the answer."""
        self._requests.put(ImportDocumentsRequest(upserts=[Upsert(document=each) for each in documents]))
        self.position = next(self._call).position

    def end(self) -> None:
        """Ends the call in an orderly way."""
        self._requests.put(None)
        assert list(self._call) == []


def test_an_import_continues_at_another_server(clients: Clients) -> None:
    first, second, third = clients
    before = Import(first, "list")
    before.send(document("i0"), document("i1"))
    after = Import(second, "list")
    assert after.position == 2
    after.send(document("i2"))
    assert after.position == 3
    assert code_of(before.send, document("i0", "stale")) is grpc.StatusCode.ABORTED, "its import was taken over"
    after.send(document("i3"))
    after.end()
    assert Import(third, "list").position == 4
    for number in range(4):
        stored = third.catalog.GetDocument(GetDocumentRequest(id=f"i{number}")).document
        assert stored.titles[0].text == f"title i{number}"


def test_an_import_outlives_the_stop_of_its_server(tiny_bundle: Path, cluster: Cluster) -> None:
    upserts = [Upsert(document=document(f"{number:04}")) for number in range(2000)]
    flags = ("--drain-seconds", "2")
    with (
        three_replicas(tiny_bundle, cluster.new_database(), *flags) as replicas,
        chaja.connect(replicas.target) as client,
    ):
        results = []
        for result in chaja.import_documents(client, upserts, import_id="all"):
            results.append(result)
            if len(results) in (200, 1000):
                busy = max(replicas, key=lambda each: each.calls("UpsertDocuments"))
                replicas.remove(busy)
        assert [each.id for each in results] == [each.document.id for each in upserts]
        assert all(each.version for each in results)


def test_servers_that_start_at_the_same_time_import_a_file_once(tiny_bundle: Path, cluster: Cluster) -> None:
    flags = server_flags(tiny_bundle, SAMPLE_CATALOGUE, "--data", text_of(cluster.new_database()))
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(3) as threads:
        servers = list(threads.map(lambda _: stack.enter_context(running_server(flags)), range(3)))
        clients = [stack.enter_context(chaja.connect(each.address)) for each in servers]
        count = len(SAMPLE_CATALOGUE.read_text(encoding="utf-8").splitlines())
        for client in clients:
            request = SearchRequest(query="카드", min_sequence=count)
            assert client.search.Search(request).sequence == count, "each document was written once"
            assert client.info.GetServerInfo(GetServerInfoRequest()).catalogue.document_count == count
        assert not [line for each in servers for line in each.lines if "Traceback" in line]
