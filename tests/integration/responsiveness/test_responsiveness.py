"""A request at the documented limits does not delay others: health checks are answered within 100 ms meanwhile."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2_grpc

import chaja
from chaja.v1 import ListSynonymsRequest, SearchRequest, WatchChangesRequest
from sample.server_process import REPOSITORY, ServerProcess
from tests.integration.responsiveness import health_watch
from tests.integration.responsiveness import requests as at_limit
from tests.integration.serving import sample_server
from tests.tiny_bundle import make_bundle

pytestmark = pytest.mark.alone

MAX_CHECK_SECONDS = 0.1
ATTEMPTS = 4
"""A neighbour on the machine may delay a check as well, but not in every attempt."""

CALL_SECONDS = 10.0
"""Deadline of the requests. Those that take longer delay health checks from the beginning, or not at all."""

Request = TypeVar("Request")


class HealthWatch:
    """The checks of liveness, in another process."""

    def __init__(self, address: str) -> None:
        command = [sys.executable, "-m", health_watch.__name__, address]
        self._process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)

    def worst_seconds(self, *, since: float, until: float) -> float:
        """Returns the longest check that overlapped a time; it reads the checks from there on."""
        worst, began = 0.0, 0.0
        assert self._process.stdout is not None
        while began < until:
            began, seconds = map(float, self._process.stdout.readline().split())
            if began + seconds >= since and began <= until:
                worst = max(worst, seconds)
        return worst

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("responsiveness")
    # As many tokens as the default model sees: a model that sees fewer cuts a document into more passages.
    bundle = make_bundle(folder / "bundle", max_tokens=512)
    with sample_server(bundle, "--data", str(folder / "data")) as server:
        yield server


@pytest.fixture(scope="module")
def client(server: ServerProcess) -> Iterator[chaja.Client]:
    with grpc.insecure_channel(server.address, options=[("grpc.max_send_message_length", -1)]) as channel:
        yield chaja.Client(channel)


@pytest.fixture(scope="module")
def watch(server: ServerProcess) -> Iterator[HealthWatch]:
    watch = HealthWatch(server.address)
    yield watch
    watch.close()


def check(watch: HealthWatch, build: Callable[[int], Request], send: Callable[[Request], object]) -> None:
    """Sends a request, which may be refused, and checks how long health checks took meanwhile.

    Each attempt has another request, whose texts are not known to the server.
    """
    worst: list[float] = []
    for attempt in range(ATTEMPTS):
        request = build(attempt)
        began = time.monotonic()
        try:
            send(request)
        except grpc.RpcError as error:
            if error.code() in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN):
                raise
        worst.append(watch.worst_seconds(since=began, until=time.monotonic() + 0.2))
        if worst[-1] < MAX_CHECK_SECONDS:
            return
    pytest.fail(f"health checks took up to {', '.join(f'{each * 1000:.0f} ms' for each in worst)}")


@pytest.mark.parametrize("name", at_limit.WRITES)
def test_a_write_at_the_limits(name: str, client: chaja.Client, watch: HealthWatch) -> None:
    build = at_limit.WRITES[name]
    check(watch, build, lambda request: client.catalog.UpsertDocuments(request, timeout=CALL_SECONDS))


@pytest.mark.parametrize("name", at_limit.QUERIES)
def test_a_search_at_the_limits(name: str, client: chaja.Client, watch: HealthWatch) -> None:
    build = at_limit.QUERIES[name]
    check(watch, build, lambda request: client.search.Search(request, timeout=CALL_SECONDS))
    check(watch, build, lambda request: list(client.search.SearchStream(iter([request] * 40), timeout=CALL_SECONDS)))


@pytest.mark.parametrize("name", at_limit.TYPED)
def test_suggestions_at_the_limits(name: str, client: chaja.Client, watch: HealthWatch) -> None:
    build = at_limit.TYPED[name]
    check(watch, build, lambda request: client.suggest.Suggest(request, timeout=CALL_SECONDS))


@pytest.mark.parametrize("name", at_limit.BATCHES)
def test_a_batch_at_the_limits(name: str, client: chaja.Client, watch: HealthWatch) -> None:
    build = at_limit.BATCHES[name]
    check(watch, build, lambda request: client.search.BatchSearch(request, timeout=CALL_SECONDS))


@pytest.mark.parametrize("name", at_limit.ENCODINGS)
def test_an_encoding_at_the_limits(name: str, client: chaja.Client, watch: HealthWatch) -> None:
    build = at_limit.ENCODINGS[name]
    check(watch, build, lambda request: client.encode.Encode(request, timeout=CALL_SECONDS))


@pytest.mark.parametrize("name", at_limit.LISTINGS)
def test_a_listing_at_the_limits(name: str, client: chaja.Client, watch: HealthWatch) -> None:
    build = at_limit.LISTINGS[name]
    check(watch, build, lambda request: client.catalog.ListDocuments(request, timeout=CALL_SECONDS))


@pytest.mark.parametrize("name", at_limit.GETS)
def test_a_read_at_the_limits(name: str, client: chaja.Client, watch: HealthWatch) -> None:
    build = at_limit.GETS[name]
    check(watch, build, lambda request: client.catalog.GetDocument(request, timeout=CALL_SECONDS))


@pytest.mark.parametrize("name", at_limit.DELETES)
def test_a_deletion_at_the_limits(name: str, client: chaja.Client, watch: HealthWatch) -> None:
    build = at_limit.DELETES[name]
    check(watch, build, lambda request: client.catalog.DeleteDocuments(request, timeout=CALL_SECONDS))


@pytest.mark.parametrize("name", at_limit.RULES)
def test_a_change_of_synonyms_at_the_limits(name: str, client: chaja.Client, watch: HealthWatch) -> None:
    build = at_limit.RULES[name]
    check(watch, build, lambda request: client.synonyms.ChangeSynonyms(request, timeout=CALL_SECONDS))
    pages = ListSynonymsRequest(page_size=1000)
    check(watch, lambda _: pages, lambda request: client.synonyms.ListSynonyms(request, timeout=CALL_SECONDS))


def test_an_import_at_the_limits(client: chaja.Client, watch: HealthWatch) -> None:
    check(
        watch, at_limit.imports, lambda requests: list(client.catalog.ImportDocuments(requests, timeout=CALL_SECONDS))
    )


def test_a_watch_of_large_documents(client: chaja.Client, watch: HealthWatch) -> None:
    def follow(request: WatchChangesRequest) -> None:
        for response in client.catalog.WatchChanges(request, timeout=CALL_SECONDS):
            if response.changes and response.changes[-1].sequence >= 224:
                return

    check(watch, lambda _: WatchChangesRequest(), follow)


def test_a_search_that_finds_large_documents(client: chaja.Client, watch: HealthWatch) -> None:
    def build(attempt: int) -> SearchRequest:
        return SearchRequest(query=f"수 큰 값 예 {attempt}", limit=100)

    check(watch, build, lambda request: client.search.Search(request, timeout=CALL_SECONDS))


def test_questions_of_other_services(server: ServerProcess, watch: HealthWatch) -> None:
    with grpc.insecure_channel(server.address, options=[("grpc.max_send_message_length", -1)]) as channel:
        reflection: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
        check(
            watch,
            lambda _: at_limit.reflections(),
            lambda requests: list(reflection.ServerReflectionInfo(requests, timeout=CALL_SECONDS)),
        )
        health: Any = health_pb2_grpc.HealthStub(channel)
        question = health_pb2.HealthCheckRequest(service="x" * at_limit.MESSAGE_BYTES)
        check(watch, lambda _: question, lambda request: health.Check(request, timeout=CALL_SECONDS))
