"""The application on Ray Serve on this machine, over its gRPC ingress, beside a server of the same database."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc.error_details_pb2 import ErrorInfo

from chaja.v1 import (
    CatalogServiceStub,
    FeedbackServiceStub,
    GetServerInfoRequest,
    ListPromotionsRequest,
    Mode,
    SearchRequest,
    SearchServiceStub,
    UpsertDocumentsRequest,
    WatchChangesRequest,
)
from sample.server_process import REPOSITORY, running_server
from server.catalogue.location import DatabaseUrl, text_of
from tests.conftest import SAMPLE_CATALOGUE, server_flags
from tests.deploy.ray.compared import BILLS, Call, caller, comparable, differences
from tests.deploy.ray.test_services import upsert_of
from tests.integration.errors import code_of, detail_of, error_of
from tests.integration.serving import health_of, wait_until
from tests.postgresql import Cluster
from tests.ray_workers import processes_of, workers_of

pytestmark = pytest.mark.slow

START_SECONDS = 200
SHARD_SECONDS = 1.5


class Application:
    """A running application."""

    def __init__(self, bundle: Path, url: DatabaseUrl, **options: float) -> None:
        flags = "--longest-wait-seconds 60 --max-sequence-wait-seconds 10"
        self._options: dict[str, str | float] = {
            "bundle": str(bundle),
            "data": text_of(url),
            "flags": flags,
            **options,
        }
        named = [f"{name}={value}" for name, value in self._options.items()]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "deploy.ray", "--port", "0", *named],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self._reading = threading.Thread(target=self._read)
        self._reading.start()

    def address(self) -> str:
        """Waits until the application serves; returns its address."""
        wait_until(lambda: self.process.poll() is not None or self._address(), seconds=START_SECONDS)
        assert self._address(), "\n".join(self.lines[-40:])
        return self._address()

    def update(self, **options: str | float) -> None:
        """Updates the application to other options, by the steps of README.md."""
        ray = next(line.split()[-1] for line in self.lines if line.startswith("the address of Ray is "))
        given = json.dumps(self._options | options)
        command = [sys.executable, "-m", "tests.deploy.ray.updating", ray, given]
        environment = {**os.environ, "RAY_AUTH_MODE": "token"}  # As Ray does on one machine.
        updated = subprocess.run(
            command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=START_SECONDS, check=False
        )
        assert updated.returncode == 0, updated.stderr

    def replicas(self, deployment: str) -> list[int]:
        """Returns the process ids of the replicas of a deployment."""
        return workers_of(self.process.pid, f":{deployment}")

    def stop(self) -> None:
        """Stops the application, which must end in order if it has served."""
        workers = workers_of(self.process.pid, "ray::")
        try:
            if self._address():
                self.process.send_signal(signal.SIGTERM)
                assert self.process.wait(60) == 0
        finally:
            self.process.kill()
            self._reading.join()
        wait_until(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers), seconds=60)

    def _address(self) -> str:
        return next((line.split()[-1] for line in self.lines if line.startswith("serving ")), "")

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as output:
            self.lines += iter(output.readline, "")


@pytest.fixture(scope="module")
def url(cluster: Cluster) -> DatabaseUrl:
    return cluster.new_database()


@pytest.fixture(scope="module")
def single(tiny_bundle: Path, url: DatabaseUrl) -> Iterator[Call]:
    """Calls a server of the same database."""
    flags = ["--data", text_of(url), "--watch-seconds", "0", "--max-sequence-wait-seconds", "10"]
    with (
        running_server(server_flags(tiny_bundle, SAMPLE_CATALOGUE, *flags)) as server,
        grpc.insecure_channel(server.address) as channel,
    ):
        yield caller(channel)


@pytest.fixture(scope="module")
def application(tiny_bundle: Path, url: DatabaseUrl, single: Call) -> Iterator[Application]:
    """Two shards with two replicas each."""
    cpus = {f"{name}_cpus": 0.1 for name in ("shard", "encoder", "ingress")}
    application = Application(tiny_bundle, url, shards=2, replicas=2, shard_seconds=SHARD_SECONDS, **cpus)
    yield application
    application.stop()


@pytest.fixture(scope="module")
def channel(application: Application) -> Iterator[grpc.Channel]:
    address = application.address()
    with grpc.insecure_channel(address) as channel:
        wait_until(lambda: is_ready(caller(channel)), seconds=START_SECONDS)
        yield channel


@pytest.fixture
def sharded(channel: grpc.Channel) -> Call:
    return caller(channel)


def is_ready(call: Call) -> bool:
    return bool(code_of(call, GetServerInfoRequest()) is grpc.StatusCode.OK)


def write(call: Call, title: str) -> int:
    upserts = [upsert_of(f"new {number}", title) for number in range(5)]
    return max(int(result.version) for result in call(UpsertDocumentsRequest(upserts=upserts)).results)


def test_the_ingress_answers_as_one_server_does(application: Application, sharded: Call, single: Call) -> None:
    assert not differences(single, sharded)
    assert health_of(application.address()) == 1
    for number, (writing, reading) in enumerate([(sharded, single), (single, sharded)] * 2):
        sequence = write(writing, f"새 카드 {number}")
        search = SearchRequest(query=f"새 카드 {number}", mode=Mode.MODE_LEXICAL, limit=5, min_sequence=sequence)
        assert {hit.document_id for hit in reading(search).hits} == {f"new {each}" for each in range(5)}
        assert comparable(sharded(search)) == comparable(single(search))


def test_errors_and_streams_of_the_ingress(channel: grpc.Channel, sharded: Call, single: Call) -> None:
    request = SearchRequest(query="")
    error, expected = (error_of(call, request) for call in (sharded, single))
    assert (error.code(), error.details()) == (expected.code(), expected.details())
    assert detail_of(error, ErrorInfo()) == detail_of(expected, ErrorInfo())
    large = SearchRequest(query="x" * 5_000_000)
    assert [code_of(call, large) for call in (sharded, single)] == [grpc.StatusCode.RESOURCE_EXHAUSTED] * 2
    stub: Any = SearchServiceStub(channel)
    metadata = (("x-request-id", "basket-7"),)
    _, call = stub.Search.with_call(SearchRequest(query="카드"), metadata=metadata, timeout=20)
    assert dict(call.trailing_metadata())["x-request-id"] == "basket-7"
    error = error_of(lambda: list(stub.SearchStream(iter([SearchRequest(query="카드")]), timeout=20)))
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED
    assert "call Search, BatchSearch" in str(error.details())
    feedback: Any = FeedbackServiceStub(channel)
    error = error_of(lambda: feedback.ListPromotions(ListPromotionsRequest(), timeout=20))
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED
    assert "call a server of the same database" in str(error.details())


def test_changes_are_watched_through_the_ingress(channel: grpc.Channel, sharded: Call, single: Call) -> None:
    catalog: Any = CatalogServiceStub(channel)
    before = write(sharded, "watched")
    changes = catalog.WatchChanges(WatchChangesRequest(after_sequence=before - 5), timeout=30)
    assert [change.sequence for change in next(changes).changes] == list(range(before - 4, before + 1))
    after = write(single, "watched again")
    assert next(changes).changes[0].sequence == after - 4
    changes.cancel()
    error = error_of(lambda: next(catalog.WatchChanges(WatchChangesRequest(after_sequence=-1), timeout=30)))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_a_killed_replica_costs_no_answer(application: Application, sharded: Call, single: Call) -> None:
    search = SearchRequest(query="카드 분실", mode=Mode.MODE_LEXICAL, limit=10)
    expected = comparable(single(search))
    before = application.replicas("shard-0-")
    assert len(before) == 2
    os.kill(before[0], signal.SIGKILL)
    for _ in range(30):
        assert comparable(sharded(search)) == expected
    wait_until(lambda: len(set(application.replicas("shard-0-")) - {before[0]}) == 2, seconds=START_SECONDS)
    for _ in range(10):
        assert comparable(sharded(search)) == expected


def test_a_hanging_replica_is_hedged_and_a_hanging_shard_reported(
    application: Application, sharded: Call, single: Call
) -> None:
    search = SearchRequest(query="카드", mode=Mode.MODE_DENSE, limit=100, filter=BILLS)
    expected = comparable(single(search))
    first, second = application.replicas("shard-1-")
    with stopped([first]):
        for _ in range(10):
            assert comparable(sharded(search)) == expected
    with stopped([first, second]):
        started = time.monotonic()
        error = error_of(sharded, search)
        assert time.monotonic() - started < 4 * SHARD_SECONDS
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        assert detail_of(error, ErrorInfo()).reason == "SHARD_UNAVAILABLE"
        search.allow_partial = True
        answer = sharded(search)
        assert (answer.shard_count, answer.missing_shards) == (2, 1)
        assert {hit.document_id for hit in answer.hits} < {hit.document_id for hit in expected.hits}
    search.allow_partial = False
    wait_until(lambda: answers(sharded, search) == expected, seconds=START_SECONDS)


def test_an_update_to_an_index_with_another_number_of_shards_fails_no_call(
    application: Application, sharded: Call, single: Call
) -> None:
    search = SearchRequest(query="카드 분실", mode=Mode.MODE_LEXICAL, limit=10)
    expected = comparable(single(search))
    counts: list[int] = []
    ended = threading.Event()

    def search_all_the_time() -> None:
        while not ended.is_set():
            answer = sharded(search)
            counts.append(answer.shard_count)
            assert comparable(answer) == expected

    with ThreadPoolExecutor() as pool:
        searching = pool.submit(search_all_the_time)
        try:
            application.update(index="index-2", shards=1, replicas=1)
            wait_until(lambda: not application.replicas("index:"), seconds=START_SECONDS)
        finally:
            ended.set()
        searching.result()
    assert (counts[0], counts[-1]) == (2, 1)


@pytest.mark.parametrize("process", ["gcs_server", "ray::ServeController"])
def test_a_stop_while_ray_starts_ends_in_order(process: str, tiny_bundle: Path, cluster: Cluster) -> None:
    """Ray's own handler of SIGTERM would end the process with 15, or with 1 and a dump of its stack."""
    application = Application(tiny_bundle, cluster.new_database())
    try:
        wait_until(lambda: processes_of(application.process.pid, process), seconds=START_SECONDS)
        application.process.terminate()
        assert application.process.wait(60) == 130
    finally:
        application.stop()
    assert not any("SIGTERM received" in line for line in application.lines)


def answers(call: Call, search: SearchRequest) -> Any:
    with contextlib.suppress(grpc.RpcError):
        return comparable(call(search))
    return None


@contextlib.contextmanager
def stopped(processes: Sequence[int]) -> Iterator[None]:
    """Stops processes, which then answer nothing."""
    for process in processes:
        os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGCONT)
