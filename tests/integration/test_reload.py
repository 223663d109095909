import contextlib
import json
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, Self

import grpc
import pytest
from google.rpc import error_details_pb2

import chaja
from chaja.v1 import (
    AdminServiceStub,
    BatchSearchRequest,
    Document,
    GetServerInfoRequest,
    LocalizedText,
    ReloadRequest,
    SearchRequest,
    SearchResponse,
    Upsert,
    UpsertDocumentsRequest,
)
from sample.server_process import ServerProcess, running_server
from server.rpc.server import SERVICES
from tests.conftest import SAMPLE_CATALOGUE, server_flags
from tests.integration.errors import detail_of, error_of
from tests.integration.scraping import scrape, scrape_until, total
from tests.integration.serving import health_of, run_server, start_error, wait_until
from tests.tiny_bundle import make_bundle

QUERIES = [f"{number} 번째로 찾는 것 {'abcdefgh'[number % 8]}" for number in range(24)]
RELOADS = "chaja_reloads_total"
Answer = tuple[str, str, tuple[str, ...]]
"""A query, the revision that answered it, and the documents that were found."""


class Served(NamedTuple):
    """A server, and the files that it serves."""

    server: ServerProcess
    bundle: Path
    catalogue: Path

    def replace(self, bundle: Path) -> None:
        """Replaces the served bundle with a copy of another one."""
        new, old = self.bundle.with_name("new"), self.bundle.with_name("old")
        shutil.copytree(bundle, new)
        self.bundle.rename(old)
        new.rename(self.bundle)
        shutil.rmtree(old)

    def reload(self) -> Any:
        with grpc.insecure_channel(self.server.address) as channel:
            return AdminServiceStub(channel).Reload(ReloadRequest(), timeout=60)

    def revision(self) -> str:
        with chaja.connect(self.server.address) as client:
            return client.info.GetServerInfo(GetServerInfoRequest()).model.revision


@pytest.fixture(scope="module")
def other_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another model, for which the same characters have another meaning."""
    return make_bundle(tmp_path_factory.mktemp("other") / "bundle", seed=11, dimension=48)


@contextlib.contextmanager
def serving(directory: Path, bundle: Path, watch_seconds: float = 0, *, data: Path | None = None) -> Iterator[Served]:
    shutil.copytree(bundle, directory / "bundle")
    shutil.copy(SAMPLE_CATALOGUE, directory / "catalogue.jsonl")
    flags = server_flags(directory / "bundle", directory / "catalogue.jsonl", "--watch-seconds", str(watch_seconds))
    flags += [] if data is None else ["--data", str(data)]
    with running_server(flags) as server:
        yield Served(server, directory / "bundle", directory / "catalogue.jsonl")
    assert not [line for line in server.lines if "Traceback" in line]


@pytest.fixture
def served(tmp_path: Path, tiny_bundle: Path) -> Iterator[Served]:
    with serving(tmp_path, tiny_bundle) as served:
        yield served


def answer_of(query: str, response: SearchResponse) -> Answer:
    return query, response.model_revision, tuple(hit.document_id for hit in response.hits)


def answers_now(client: chaja.Client) -> set[Answer]:
    return {answer_of(query, client.search.Search(SearchRequest(query=query))) for query in QUERIES}


class Searchers:
    """Clients that search all the time, with every method, without retries; a failed call fails the test."""

    def __init__(self, address: str) -> None:
        self.answers: list[Answer] = []
        self.errors: list[Exception] = []
        self._stop = threading.Event()
        self._channel = grpc.insecure_channel(address)
        self._stub: Any = chaja.Client(self._channel).search
        ways: list[Callable[[int], list[SearchResponse]]] = [self._singles, self._batch, self._stream]
        self._threads = [threading.Thread(target=self._search, args=(way,)) for way in ways]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._channel.close()

    def _search(self, way: Callable[[int], list[SearchResponse]]) -> None:
        try:
            for start in range(10**6):
                if self._stop.is_set():
                    return
                responses = way(start)
                self.answers += [answer_of(*each) for each in zip(self._queries(start), responses, strict=True)]
        except Exception as error:
            self.errors.append(error)

    def _queries(self, start: int) -> list[str]:
        return [QUERIES[(start * 5 + number) % len(QUERIES)] for number in range(6)]

    def _requests(self, start: int) -> list[SearchRequest]:
        return [SearchRequest(query=query) for query in self._queries(start)]

    def _singles(self, start: int) -> list[SearchResponse]:
        return [self._stub.Search(request, timeout=30) for request in self._requests(start)]

    def _batch(self, start: int) -> list[SearchResponse]:
        request = BatchSearchRequest(requests=self._requests(start))
        responses = list(self._stub.BatchSearch(request, timeout=30).responses)
        assert len({each.model_revision for each in responses}) == 1, "two models answered one call"
        return responses

    def _stream(self, start: int) -> list[SearchResponse]:
        return [each.response for each in self._stub.SearchStream(iter(self._requests(start)), timeout=30)]


@pytest.mark.parametrize("how", ["SIGHUP", "Reload", "watch"])
def test_no_call_fails_during_a_reload_of_another_model(
    tmp_path: Path, tiny_bundle: Path, other_bundle: Path, how: str
) -> None:
    with (
        serving(tmp_path, tiny_bundle, 0.1 if how == "watch" else 0) as served,
        chaja.connect(served.server.address) as client,
    ):
        expected, revision = answers_now(client), served.revision()
        with Searchers(served.server.address) as searchers:
            served.replace(other_bundle)
            if how == "SIGHUP":
                for _ in range(5):  # An impatient operator repeats the signal.
                    os.kill(served.server.process.pid, signal.SIGHUP)
            elif how == "Reload":
                assert served.reload().model.revision != revision
            scrape_until(served.server.metrics_url, lambda found: total(found, RELOADS, result="ok") >= 1)
            assert served.revision() != revision
            seen = len(searchers.answers)
            wait_until(lambda: len(searchers.answers) >= seen + 100 or searchers.errors)
        assert not searchers.errors
        expected |= answers_now(client)
        assert len({found for _, found, _ in expected}) == 2
        assert {found for _, found, _ in searchers.answers} == {found for _, found, _ in expected}
        assert set(searchers.answers) <= expected
        assert not total(scrape(served.server.metrics_url), RELOADS, result="failed")


def test_a_shadowed_bundle_is_swapped_in_and_back_while_searches_run(
    tmp_path: Path, tiny_bundle: Path, other_bundle: Path
) -> None:
    data = tmp_path / "data"
    queries = tmp_path / "queries.jsonl"
    queries.write_text("".join(json.dumps({"query": query}) + "\n" for query in QUERIES), encoding="utf-8")
    with (
        serving(tmp_path, tiny_bundle, data=data) as served,
        chaja.connect(served.server.address) as client,
        Searchers(served.server.address) as searchers,
    ):
        first = answers_now(client)
        command = ["shadow", "--data", str(data), "--bundle", str(served.bundle), "--new-bundle", str(other_bundle)]
        options = ["--queries", str(queries), "--mode", "dense", "--min-overlap", "1"]
        shadow = run_server(*command, *options)
        assert shadow.returncode == 99, shadow.stderr
        assert f"{len(QUERIES)} different queries" in shadow.stdout
        for bundle in (other_bundle, tiny_bundle):
            served.replace(bundle)
            served.reload()
            seen = len(searchers.answers)
            wait_until(lambda: len(searchers.answers) >= seen + 100 or searchers.errors)  # noqa: B023  called at once
        assert not searchers.errors
        assert len({revision for _, revision, _ in searchers.answers}) == 2
        assert answers_now(client) == first


def test_a_damaged_bundle_leaves_the_old_one_serving(served: Served, tiny_bundle: Path) -> None:
    with chaja.connect(served.server.address) as client:
        before = answers_now(client)
        model = served.bundle / "query" / "model.onnx"
        whole = model.read_bytes()
        model.unlink()
        model.write_bytes(whole[: len(whole) // 2])
        error = error_of(served.reload)
        assert error.code() == grpc.StatusCode.FAILED_PRECONDITION
        assert "model.onnx" in error.details()
        assert detail_of(error, error_details_pb2.ErrorInfo()).reason == "RELOAD_FAILED"
        samples = scrape(served.server.metrics_url)
        assert (total(samples, RELOADS, result="failed"), total(samples, RELOADS, result="ok")) == (1, 0)
        assert any(" ERROR " in line and "model.onnx" in line for line in served.server.lines)
        assert answers_now(client) == before
        assert health_of(served.server.address, SERVICES[0].full_name) == 1
        served.replace(tiny_bundle)
        assert served.reload().model.revision == served.revision()
        assert answers_now(client) == before


def test_a_changed_catalogue_is_found_after_the_reload(served: Served) -> None:
    with chaja.connect(served.server.address) as client:
        lines = served.catalogue.read_text(encoding="utf-8")
        document = {"id": "new", "title": {"ko": "우주여행보험"}, "attributes": {"since": 2026}}
        request = SearchRequest(query="우주여행보험", limit=1)
        assert client.search.Search(request).hits[0].document_id != "new"
        served.catalogue.write_text(lines + json.dumps(document) + "\n", encoding="utf-8")
        assert client.search.Search(request).hits[0].document_id != "new"
        answer = served.reload()
        assert answer.catalogue.document_count == len(lines.splitlines()) + 1
        hit = client.search.Search(request).hits[0]
        assert (hit.document_id, dict(hit.attributes.items())) == ("new", {"since": 2026})
        samples = scrape(served.server.metrics_url)
        assert total(samples, "chaja_catalogue_documents") == len(lines.splitlines()) + 1


def test_a_catalogue_that_was_cut_short_leaves_the_documents(served: Served) -> None:
    lines = served.catalogue.read_text(encoding="utf-8").splitlines(keepends=True)
    for content, advice in (
        (
            "".join(lines[:1]),
            f"lacks {len(lines) - 1} of the {len(lines)} documents that it had when it was last imported",
        ),
        ("".join(lines[:-1]) + lines[-1][:9], f"catalogue.jsonl:{len(lines)}: the line is not one whole JSON object"),
        ("", "catalogue.jsonl has no documents"),
    ):
        served.catalogue.write_text(content, encoding="utf-8")
        error = error_of(served.reload)
        assert error.code() == grpc.StatusCode.FAILED_PRECONDITION
        assert advice in error.details()
    with chaja.connect(served.server.address) as client:
        assert client.info.GetServerInfo(GetServerInfoRequest()).catalogue.document_count == len(lines)


def test_a_catalogue_that_was_cut_short_is_refused_at_the_start(tmp_path: Path, tiny_bundle: Path) -> None:
    catalogue = tmp_path / "catalogue.jsonl"
    shutil.copy(SAMPLE_CATALOGUE, catalogue)
    flags = ["--data", str(tmp_path / "data")]
    with running_server(server_flags(tiny_bundle, catalogue, *flags)):
        pass
    lines = catalogue.read_text(encoding="utf-8").splitlines(keepends=True)
    catalogue.write_text("".join(lines[:100]), encoding="utf-8")
    line = start_error(tiny_bundle, *flags, catalogue=catalogue)
    assert line.startswith(f"server: error: {catalogue} lacks {len(lines) - 100} of the {len(lines)} ")
    flags += ["--max-catalogue-shrink", line.partition("--max-catalogue-shrink to ")[2].partition(" ")[0]]
    with (
        running_server(server_flags(tiny_bundle, catalogue, *flags)) as server,
        chaja.connect(server.address) as client,
    ):
        assert client.info.GetServerInfo(GetServerInfoRequest()).catalogue.document_count == 100


def test_a_catalogue_with_a_document_that_is_too_long_is_refused(tmp_path: Path, tiny_bundle: Path) -> None:
    catalogue = tmp_path / "catalogue.jsonl"
    catalogue.write_text(json.dumps({"id": "a", "title": "x" * 100}) + "\n", encoding="utf-8")
    line = start_error(tiny_bundle, "--max-document-characters", "100", catalogue=catalogue)
    assert line.startswith(f"server: error: {catalogue}:1: has 101 characters in all; at most 100 are allowed")


def test_only_vectors_of_documents_are_counted(tmp_path: Path, tiny_bundle: Path) -> None:
    flags = server_flags(tiny_bundle, SAMPLE_CATALOGUE, "--data", str(tmp_path))
    del flags[flags.index("--catalogue") : flags.index("--catalogue") + 2]
    for _ in range(2):  # The second server loads a snapshot.
        with running_server(flags) as server, chaja.connect(server.address) as client:
            for number in range(20):
                upsert = Upsert(document=Document(id="a", titles=[LocalizedText(text=f"title {number}")]))
                client.catalog.UpsertDocuments(UpsertDocumentsRequest(upserts=[upsert]))
            catalogue = client.info.GetServerInfo(GetServerInfoRequest()).catalogue
            assert (catalogue.document_count, catalogue.vector_count) == (1, 1)
            assert total(scrape(server.metrics_url), "chaja_catalogue_vectors") == 1
