"""A server over PostgreSQL: a restart of either, writes meanwhile, and a failover that has lost changes."""

import contextlib
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import grpc
import psycopg
import pytest
from google.rpc.error_details_pb2 import ErrorInfo

import chaja
from chaja.v1 import (
    BatchSearchRequest,
    CatalogServiceStub,
    Document,
    GetDocumentRequest,
    ImportDocumentsRequest,
    ListDocumentsRequest,
    LocalizedText,
    Mode,
    SearchRequest,
    SearchResponse,
    SuggestRequest,
    Upsert,
    UpsertDocumentsRequest,
)
from sample.server_process import ServerProcess, running_server
from server.catalogue.location import DatabaseUrl, text_of
from tests.conftest import SAMPLE_CATALOGUE, server_flags
from tests.integration.errors import detail_of, error_of
from tests.integration.serving import error_line, health_of, run_server, start_error, wait_for_line, wait_until
from tests.postgresql import Cluster


@pytest.fixture
def own_cluster() -> Iterator[Cluster]:
    """A cluster that the test may stop."""
    cluster = Cluster()
    yield cluster
    cluster.close()


@contextlib.contextmanager
def serving(bundle: Path, url: DatabaseUrl, *flags: str) -> Iterator[tuple[ServerProcess, chaja.Client]]:
    arguments = server_flags(bundle, SAMPLE_CATALOGUE, "--data", text_of(url), "--watch-seconds", "0", *flags)
    with running_server(arguments) as server, chaja.connect(server.address) as client:
        yield server, client
    assert not [line for line in server.lines if "Traceback" in line]


def upsert_of(id: str, title: str = "") -> Upsert:
    return Upsert(document=Document(id=id, titles=[LocalizedText(text=title or f"title {id}")]))


def reason_of(error: grpc.RpcError) -> str:
    return str(detail_of(error, ErrorInfo()).reason)


def ids_of(client: chaja.Client) -> list[str]:
    return [each.id for each in client.catalog.ListDocuments(ListDocumentsRequest(page_size=1000)).documents]


def found(client: chaja.Client, query: str) -> SearchResponse:
    return client.search.Search(SearchRequest(query=query, limit=3, mode=Mode.MODE_LEXICAL), timeout=20)


def test_a_store_in_postgresql_keeps_what_a_server_has_written(tiny_bundle: Path, cluster: Cluster) -> None:
    url = cluster.new_database(migrated=False)
    flags = ["--data", text_of(url)]
    refused = run_server(*server_flags(tiny_bundle, SAMPLE_CATALOGUE, *flags))
    assert "has no tables of Chaja yet: run python -m server migrate" in error_line(refused)
    assert "has schema" in run_server("migrate", *flags).stdout
    with serving(tiny_bundle, url) as (_, client):
        request = UpsertDocumentsRequest(upserts=[upsert_of("new", "환율 계산기")], request_id="call")
        (written,) = client.catalog.UpsertDocuments(request).results
        assert client.catalog.UpsertDocuments(request).results == [written], "a repeated call gets its answer"
        assert "new" in [hit.document_id for hit in found(client, "환율 계산기").hits]
        messages = [ImportDocumentsRequest(import_id="i"), ImportDocumentsRequest(upserts=[upsert_of("imported")])]
        assert [each.position for each in client.catalog.ImportDocuments(iter(messages))] == [0, 1]
        with serving(tiny_bundle, url, "--max-sequence-wait-seconds", "10") as (_, second):
            for number in range(20):
                upsert = upsert_of("changing", f"title {number}")
                (written,) = client.catalog.UpsertDocuments(UpsertDocumentsRequest(upserts=[upsert])).results
                search = SearchRequest(query=f"title {number}", limit=1, mode=Mode.MODE_LEXICAL)
                search.min_sequence = written.version
                answer = second.search.Search(search, timeout=20)
                assert (answer.hits[0].title, answer.sequence) == (f"title {number}", written.version)
                batch = BatchSearchRequest(requests=[SearchRequest(query="title"), search])
                assert second.search.BatchSearch(batch, timeout=20).responses[1].hits[0].title == f"title {number}"
                suggested = SuggestRequest(text=f"title {number}", min_sequence=written.version)
                assert second.suggest.Suggest(suggested, timeout=20).suggestions[0].document_id == "changing"
            search.min_sequence += 1
            assert reason_of(error_of(second.search.Search, search, timeout=20)) == "CHANGES_OUT_OF_RANGE"
            search.min_sequence = -1
            assert reason_of(error_of(second.search.Search, search, timeout=20)) == "INVALID_REQUEST"
        sequence = found(client, "환율 계산기").sequence
    with serving(tiny_bundle, url) as (server, client):
        assert not [line for line in server.lines if "texts encoded" in line], "the vectors are stored"
        assert found(client, "환율 계산기").sequence == sequence
        document = client.catalog.GetDocument(GetDocumentRequest(id="imported")).document
        assert document.titles[0].text == "title imported"
        (start,) = client.catalog.ImportDocuments(iter(messages[:1]))
        assert start.position == 1


def test_a_restart_of_postgresql_loses_no_write_and_the_server_goes_on(tiny_bundle: Path, own_cluster: Cluster) -> None:
    with serving(tiny_bundle, own_cluster.new_database()) as (server, client):
        acknowledged: set[str] = set()
        refused: list[grpc.RpcError] = []
        ended = threading.Event()

        def write() -> None:
            number = 0
            while not ended.is_set():
                request = UpsertDocumentsRequest(upserts=[upsert_of(f"{number}")], request_id=f"call {number}")
                try:
                    client.catalog.UpsertDocuments(request, timeout=20)
                except grpc.RpcError as error:  # The same call again.
                    refused.append(error)
                else:
                    acknowledged.add(f"{number}")
                    number += 1

        writer = threading.Thread(target=write)
        writer.start()
        try:
            for mode in ("fast", "immediate", "immediate"):
                before = len(acknowledged)
                wait_until(lambda before=before: len(acknowledged) > before + 20)  # type: ignore[misc]
                own_cluster.stop(mode)
                before = len(refused)
                wait_until(lambda before=before: len(refused) > before + 2)  # type: ignore[misc]
                assert health_of(server.address) == 1, "a restart of the server would not help"
                own_cluster.start()
            before = len(acknowledged)
            wait_until(lambda: len(acknowledged) > before + 20)
        finally:
            ended.set()
            writer.join()
        assert {reason_of(error) for error in refused} == {"STORE_UNAVAILABLE"}
        assert {error.code() for error in refused} == {grpc.StatusCode.UNAVAILABLE}
        for id in acknowledged:
            document = client.catalog.GetDocument(GetDocumentRequest(id=id)).document
            assert document.titles[0].text == f"title {id}"
        last = max(acknowledged, key=int)
        assert last in [hit.document_id for hit in found(client, f"title {last}").hits]


def test_a_server_without_its_database_is_not_ready_until_it_is_back(tiny_bundle: Path, own_cluster: Cluster) -> None:
    with serving(tiny_bundle, own_cluster.new_database(), "--max-lag-seconds", "1") as (server, _):
        assert health_of(server.address) == 1
        own_cluster.stop()
        wait_until(lambda: health_of(server.address) != 1)
        assert health_of(server.address, "liveness") == 1
        own_cluster.start()
        wait_until(lambda: health_of(server.address) == 1)
        wait_for_line(server, "INFO", "ready again")


def test_a_search_waits_for_a_restart_of_postgresql(tiny_bundle: Path, own_cluster: Cluster) -> None:
    with (
        serving(tiny_bundle, own_cluster.new_database()) as (server, _),
        chaja.connect(server.address, options=[("grpc.service_config", "{}")]) as without_retries,
    ):
        own_cluster.stop()
        with ThreadPoolExecutor(2) as pool:
            searching = pool.submit(found, without_retries, "카드 분실")
            request = GetDocumentRequest(id="gas-bill")
            reading = pool.submit(without_retries.catalog.GetDocument, request, timeout=20)
            wait_for_line(server, "the store is away")
            assert not searching.done()
            assert not reading.done()
            own_cluster.start()
            assert searching.result().hits
            assert reading.result().document.id == "gas-bill"


def test_a_killed_server_loses_no_write_and_its_successor_takes_its_place(tiny_bundle: Path, cluster: Cluster) -> None:
    url = cluster.new_database()
    acknowledged: list[str] = []
    for _ in range(3):
        with serving(tiny_bundle, url) as (server, _):
            killing = threading.Timer(1.0, server.process.kill)
            killing.start()
            with grpc.insecure_channel(server.address) as channel, contextlib.suppress(grpc.RpcError):
                catalog: Any = CatalogServiceStub(channel)
                while True:
                    id = f"{len(acknowledged)}"
                    catalog.UpsertDocuments(UpsertDocumentsRequest(upserts=[upsert_of(id)]), timeout=20)
                    acknowledged.append(id)
            killing.join()
    assert len(acknowledged) > 3
    with serving(tiny_bundle, url) as (_, client):
        for id in acknowledged:
            document = client.catalog.GetDocument(GetDocumentRequest(id=id)).document
            assert document.titles[0].text == f"title {id}"
        assert acknowledged[-1] in [hit.document_id for hit in found(client, f"title {acknowledged[-1]}").hits]


def test_a_server_with_other_files_at_the_same_database_deletes_nothing(
    tiny_bundle: Path, cluster: Cluster, tmp_path: Path
) -> None:
    url = cluster.new_database()
    other = tmp_path / "other.jsonl"
    other.write_text("".join(f'{{"id": "{number}", "title": "title {number}"}}\n' for number in range(20)))
    with serving(tiny_bundle, url) as (_, client):
        client.catalog.UpsertDocuments(UpsertDocumentsRequest(upserts=[upsert_of("written")]))
        before = ids_of(client)
        refused = start_error(tiny_bundle, "--data", text_of(url), catalogue=other)
        assert f"{other} lacks {len(before) - 1} of the {len(before) - 1} documents" in refused
        assert ids_of(client) == before
        flags = ("--max-catalogue-shrink", "1")
        with running_server(server_flags(tiny_bundle, other, "--data", text_of(url), *flags)):
            assert sorted(ids_of(client)) == sorted([*(f"{number}" for number in range(20)), "written"])
    with serving(tiny_bundle, url, *flags) as (_, client):
        assert ids_of(client) == before, "the newest import wins"


def test_a_server_stops_although_its_database_hangs(tiny_bundle: Path, cluster: Cluster) -> None:
    url = cluster.new_database()
    with serving(tiny_bundle, url) as (server, client), psycopg.connect(url.url) as blocking:
        blocking.execute("LOCK TABLE chaja.documents IN ACCESS EXCLUSIVE MODE")
        for call, request in (
            (client.search.Search, SearchRequest(query="카드 분실")),
            (client.catalog.GetDocument, GetDocumentRequest(id="gas-bill")),
            (client.catalog.UpsertDocuments, UpsertDocumentsRequest(upserts=[upsert_of("new")])),
        ):
            assert error_of(call, request, timeout=1).code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert server.stop() == 0


def test_a_failover_that_lost_changes_ends_the_service(tiny_bundle: Path) -> None:
    with contextlib.ExitStack() as stack:
        primary = Cluster()
        stack.callback(primary.close)
        url = primary.new_database()
        with serving(tiny_bundle, url):
            pass
        primary.stop()
        replica = Cluster(copy_of=primary, standby=True)
        stack.callback(replica.close)
        primary.start()
        with serving(tiny_bundle, url) as (server, client):
            client.catalog.UpsertDocuments(UpsertDocumentsRequest(upserts=[upsert_of("lost")]))
            primary.close()
            replica.promote()
            replica.take_place_of(primary)
            wait_for_line(server, "CRITICAL", "has lost changes")
            wait_until(lambda: health_of(server.address) != 1)
            assert health_of(server.address, "liveness") == 1, "a restart would hide the loss"
            with grpc.insecure_channel(server.address) as channel:  # `client` avoids a server that is not ready.
                catalog: Any = CatalogServiceStub(channel)
                for error in (
                    error_of(catalog.GetDocument, GetDocumentRequest(id="lost"), timeout=20),
                    error_of(catalog.UpsertDocuments, UpsertDocumentsRequest(upserts=[upsert_of("b")]), timeout=20),
                ):
                    assert reason_of(error) == "STORE_LOST_CHANGES"
            status_url = server.metrics_url.replace("/metrics", "/status.json")
            with urlopen(status_url, timeout=30) as answer:  # noqa: S310  our own server
                assert json.load(answer)["state"]["name"] == "refusing"
        flags = ["--data", text_of(url)]
        refused = run_server("--bundle", str(tiny_bundle), *flags)
        assert "has lost changes" in error_line(refused)
        assert "continues after change" in run_server("accept-loss", *flags).stdout
        with serving(tiny_bundle, url) as (_, client):
            assert "lost" not in ids_of(client)
