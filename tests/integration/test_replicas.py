"""Several servers over one PostgreSQL, and a client that balances: calls spread, and a roll-out fails none."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest

import chaja
from chaja.v1 import (
    Document,
    GetDocumentRequest,
    LocalizedText,
    Mode,
    SearchRequest,
    Upsert,
    UpsertDocumentsRequest,
)
from tests.integration.replicas import Replicas, three_replicas
from tests.integration.serving import wait_until
from tests.node import run_node
from tests.postgresql import Cluster

SOON = [("grpc.dns_min_time_between_resolutions_ms", 200)]
"""A test does not wait for 30 s, as clients do, between two look-ups of the name."""


@pytest.fixture(scope="module")
def replicas(tiny_bundle: Path, cluster: Cluster) -> Iterator[Replicas]:
    with three_replicas(tiny_bundle, cluster.new_database()) as replicas:
        yield replicas


def upsert_of(id: str) -> UpsertDocumentsRequest:
    document = Document(id=id, titles=[LocalizedText(text=f"title {id}")])
    return UpsertDocumentsRequest(upserts=[Upsert(document=document)], request_id=id)


def found(client: chaja.Client, id: str, *, min_sequence: int = 0) -> list[str]:
    request = SearchRequest(query=f"title {id}", limit=3, mode=Mode.MODE_LEXICAL, min_sequence=min_sequence)
    return [hit.document_id for hit in client.search.Search(request).hits]


@pytest.mark.parametrize("form", ["name", "list"])
def test_calls_spread_over_all_servers(replicas: Replicas, form: str) -> None:
    target = replicas.target if form == "name" else f"ipv4:{','.join(replicas.addresses)}"
    with chaja.connect(target) as client:
        before, made = [each.calls() for each in replicas], 0

        def searches(number: int) -> list[int]:
            """Searches, and returns how many calls of this test each server has counted, which it does at their end."""
            nonlocal made
            for _ in range(number):
                found(client, "1")
            made += number
            wait_until(lambda: sum(each.calls() for each in replicas) == sum(before) + made)
            return [each.calls() - known for each, known in zip(replicas, before, strict=True)]

        wait_until(lambda: all(searches(1)))
        connected = searches(0)
        assert [after - known for after, known in zip(searches(30), connected, strict=True)] == [10, 10, 10]


@pytest.mark.parametrize("form", ["name", "list"])
def test_calls_of_grpc_js_spread_over_all_servers(
    replicas: Replicas, form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRPC_NODE_USE_ALTERNATIVE_RESOLVER", "true")  # It asks the DNS server that the target names.
    target = replicas.target if form == "name" else f"ipv4:{','.join(replicas.addresses)}"
    calls = run_node(Path(__file__).with_name("interop") / "balanced.mjs", tmp_path, target, "3")
    assert calls == dict.fromkeys(replicas.addresses, 10)


class Load:
    """Searches, reads and writes through one client, until `end`.

    Attributes:
        written: The ids of acknowledged documents.
        missed: The ids of documents that a search after their write has not found.
        failed: The errors.
    """

    def __init__(self, client: chaja.Client) -> None:
        self._client = client
        self.written: list[str] = []
        self.missed: list[str] = []
        self.failed: list[grpc.RpcError] = []
        self._ended = threading.Event()
        works = (self._write, self._search, self._search, self._read)
        self._threads = [threading.Thread(target=self._repeat, args=(work,)) for work in works]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _repeat(self, work: Callable[[int], None]) -> None:
        number = 0
        while not self._ended.is_set():
            number += 1
            try:
                work(number)
            except grpc.RpcError as error:
                self.failed.append(error)

    def _write(self, number: int) -> None:
        (result,) = self._client.catalog.UpsertDocuments(upsert_of(f"w{number}")).results
        assert result.changed
        self.written.append(result.id)
        if result.id not in found(self._client, result.id, min_sequence=result.version):
            self.missed.append(result.id)

    def _search(self, number: int) -> None:
        found(self._client, f"{number}")

    def _read(self, _: int) -> None:
        if self.written:
            self._client.catalog.GetDocument(GetDocumentRequest(id=self.written[-1]))


def test_a_roll_out_fails_no_call_and_reaches_clients_that_stay_connected(tiny_bundle: Path, cluster: Cluster) -> None:
    flags = ("--drain-wait-seconds", "1", "--max-connection-age-seconds", "2")
    with three_replicas(tiny_bundle, cluster.new_database(), *flags) as replicas:
        with chaja.connect(replicas.target, options=SOON) as client:
            load = Load(client)
            try:
                for old in list(replicas):
                    new = replicas.add()
                    wait_until(lambda new=new: new.calls() > 20)  # type: ignore[misc]
                    replicas.remove(old)
            finally:
                load.end()
        assert not load.failed
        assert not load.missed
        assert len(load.written) > 20
        last = load.written[-1]
        for each in replicas:
            for id in load.written:
                assert each.client.catalog.GetDocument(GetDocumentRequest(id=id)).document.id == id
        wait_until(lambda: all(last in found(each.client, last) for each in replicas))
