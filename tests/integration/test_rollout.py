"""A new bundle for several servers of one database: no missed call, and the way back."""

import contextlib
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc

import chaja
from chaja.v1 import AdminServiceStub, ReloadRequest, SearchRequest, UpsertDocumentsRequest
from sample.server_process import ServerProcess, running_server
from server.catalogue.location import text_of
from server.encoding.manifest import read_manifest
from tests.conftest import SAMPLE_CATALOGUE, server_flags
from tests.integration.test_postgresql import upsert_of
from tests.postgresql import Cluster
from tests.tiny_bundle import make_bundle

SERVERS = 3


def put(bundle: Path, place: Path) -> None:
    """Replaces the bundle at a place by renaming."""
    new, old = place.with_name("new"), place.with_name("old")
    shutil.copytree(bundle, new)
    place.rename(old)
    new.rename(place)
    shutil.rmtree(old)


def reload(server: ServerProcess) -> str:
    """Reloads a server; returns the revision that it serves."""
    with grpc.insecure_channel(server.address) as channel:
        stub: Any = AdminServiceStub(channel)
        return str(stub.Reload(ReloadRequest(), timeout=60).model.revision)


def test_servers_of_one_database_change_their_bundle_and_go_back(
    tiny_bundle: Path, tmp_path: Path, cluster: Cluster
) -> None:
    other = make_bundle(tmp_path / "other", seed=8)
    url, revisions = cluster.new_database(), [read_manifest(each).revision for each in (tiny_bundle, other)]
    places = [tmp_path / f"{number}" / "bundle" for number in range(SERVERS)]
    with contextlib.ExitStack() as stack:
        servers, clients = [], []
        for place in places:
            shutil.copytree(tiny_bundle, place)
            flags = server_flags(place, SAMPLE_CATALOGUE, "--data", text_of(url), "--watch-seconds", "0")
            servers.append(stack.enter_context(running_server(flags)))
            clients.append(stack.enter_context(chaja.connect(servers[-1].address)))
        ended, found, written = threading.Event(), set[str](), list[str]()

        def search(client: chaja.Client) -> None:
            while not ended.is_set():
                answer = client.search.Search(SearchRequest(query="환율", limit=3), timeout=20)
                assert len(answer.hits) == 3
                found.add(answer.model_revision)

        def write(client: chaja.Client) -> None:
            while not ended.is_set():
                id = f"written {len(written)}"
                client.catalog.UpsertDocuments(UpsertDocumentsRequest(upserts=[upsert_of(id)]), timeout=20)
                written.append(id)

        with ThreadPoolExecutor(2 * SERVERS + 1) as pool:
            calls = [pool.submit(search, client) for client in clients]
            calls.append(pool.submit(write, clients[0]))
            try:
                for bundle, revision in ((other, revisions[1]), (tiny_bundle, revisions[0])):
                    for place in places:
                        put(bundle, place)
                    assert set(pool.map(reload, servers)) == {revision}
            finally:
                ended.set()
            for call in calls:
                call.result()
        assert found == set(revisions), "answers name their revision"
        (last,) = clients[0].catalog.UpsertDocuments(UpsertDocumentsRequest(upserts=[upsert_of("last")])).results
        request = SearchRequest(query="환율", limit=50, min_sequence=last.version)
        answers = {
            tuple((hit.document_id, hit.score) for hit in client.search.Search(request, timeout=20).hits)
            for client in clients
        }
        assert len(answers) == 1, "all servers find the same"
        for server in servers:
            assert not [line for line in server.lines if "Traceback" in line]
