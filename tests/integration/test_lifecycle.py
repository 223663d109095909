import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

import chaja
from chaja.v1 import BatchSearchRequest, EncodeRequest, SearchRequest
from sample.server_process import REPOSITORY, ServerProcess, running_server
from server.rpc.server import SERVICES
from tests.conftest import SAMPLE_CATALOGUE, server_flags

Health = health_pb2.HealthCheckResponse


def health_of(address: str, service: str) -> int:
    with grpc.insecure_channel(address) as channel:
        request = health_pb2.HealthCheckRequest(service=service)
        stub: Any = health_pb2_grpc.HealthStub(channel)
        return int(stub.Check(request, timeout=10).status)


@pytest.fixture(scope="module")
def long_catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Enough text that loading takes longer than a look."""
    catalogue = tmp_path_factory.mktemp("long") / "catalogue.jsonl"
    documents = [
        {"id": str(number), "examples": [f"example {number} {example}" for example in range(100)]}
        for number in range(500)
    ]
    catalogue.write_text("".join(json.dumps(document) + "\n" for document in documents), encoding="utf-8")
    return catalogue


def test_it_is_not_serving_until_all_is_loaded(tiny_bundle: Path, long_catalogue: Path) -> None:
    seen: dict[str, Any] = {}

    def while_loading(line: str) -> None:
        if "; loading" not in line:
            return
        address = line.partition("gRPC on ")[2].partition(",")[0]
        seen["health"] = [health_of(address, name) for name in ("", *(service.full_name for service in SERVICES))]
        with grpc.insecure_channel(address) as channel:
            try:
                chaja.Client(channel).search.Search(SearchRequest(query="a"), timeout=10)
            except grpc.RpcError as error:
                seen["error"] = error

    with running_server(server_flags(tiny_bundle, long_catalogue), echo=while_loading) as server:
        assert seen["health"] == [Health.NOT_SERVING] * (1 + len(SERVICES))
        assert seen["error"].code() == grpc.StatusCode.UNAVAILABLE
        assert "still loading" in seen["error"].details()
        assert health_of(server.address, "") == Health.SERVING
        assert health_of(server.address, "chaja.v1.SearchService") == Health.SERVING


def test_a_client_waits_for_a_server_that_still_loads(tiny_bundle: Path) -> None:
    hits: list[int] = []

    def search_while_loading(line: str) -> None:
        if "; loading" in line:
            address = line.partition("gRPC on ")[2].partition(",")[0]
            with chaja.connect(address) as client:
                request = SearchRequest(query="송금", limit=4)
                hits.append(len(client.search.Search(request, timeout=30, wait_for_ready=True).hits))

    with running_server(server_flags(tiny_bundle, SAMPLE_CATALOGUE), echo=search_while_loading):
        assert hits == [4]


def test_sigterm_lets_calls_in_flight_finish(tiny_bundle: Path) -> None:
    with running_server(server_flags(tiny_bundle, SAMPLE_CATALOGUE)) as server:
        requests = [SearchRequest(query=f"{number} 번째 질문", limit=100) for number in range(100)]
        with chaja.connect(server.address) as client:
            client.search.Search(requests[0])
            calls = [client.search.BatchSearch.future(BatchSearchRequest(requests=requests)) for _ in range(10)]
            calls[0].result(timeout=30)
            assert server.stop() == 0
            finished = [call for call in calls if call.exception(timeout=10) is None]
            # A call that had not arrived yet is refused as UNAVAILABLE; none is dropped halfway.
            for call in calls:
                if call not in finished:
                    error: Any = call.exception()
                    assert error.code() == grpc.StatusCode.UNAVAILABLE
            assert all(len(call.result().responses) == 100 for call in finished)
    assert any("draining" in line for line in server.lines)
    assert server.lines[-1].endswith("stopped")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_loading_ends_it_soon(tiny_bundle: Path, long_catalogue: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-m", "server", *server_flags(tiny_bundle, long_catalogue)]
    with subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "; loading" in line:
                process.send_signal(number)
                break
        rest = process.stderr.read()
        assert process.wait(20) == 0
        assert rest.strip().endswith("stopped while loading")
        assert "Traceback" not in rest


def test_what_has_not_finished_within_the_drain_is_aborted(tiny_bundle: Path) -> None:
    with running_server(server_flags(tiny_bundle, SAMPLE_CATALOGUE, "--drain-seconds", "0")) as server:
        texts = [f"{number} " * 5000 for number in range(256)]
        with chaja.connect(server.address) as client:
            client.search.Search(SearchRequest(query="a"))
            call = client.encode.Encode.future(EncodeRequest(texts=texts, truncate=True), timeout=30)
            time.sleep(0.2)
            assert server.stop() == 0
            assert call.exception(timeout=10) is not None
    assert not [line for line in server.lines if "Traceback" in line]


def run_server(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "server", *arguments]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=False)


def last_line(run: subprocess.CompletedProcess[str]) -> str:
    assert "Traceback" not in run.stderr
    lines = [line for line in run.stderr.splitlines() if " INFO " not in line]
    assert len(lines) == 1, run.stderr
    return lines[0]


def test_a_port_in_use(tiny_server: ServerProcess, tiny_bundle: Path) -> None:
    flags = server_flags(tiny_bundle, SAMPLE_CATALOGUE)
    metrics_address = tiny_server.metrics_url.removeprefix("http://").removesuffix("/metrics")
    run = run_server(*flags, "--listen", tiny_server.address)
    assert run.returncode == 1
    assert f"cannot listen on {tiny_server.address}: it is in use" in last_line(run)
    run = run_server(*flags, "--metrics", metrics_address)
    assert run.returncode == 1
    assert f"cannot serve metrics on {metrics_address}: Address already in use" in last_line(run)


def test_a_unix_socket_is_served_by_one_server_at_a_time(tiny_bundle: Path, tmp_path: Path) -> None:
    path = tmp_path / "chaja.sock"
    flags = server_flags(tiny_bundle, SAMPLE_CATALOGUE, "--listen", f"unix:{path}")
    for _ in range(2):  # A server that was killed leaves its socket behind; the next one takes it over.
        with running_server(flags) as server:
            assert server.address == f"unix:{path}"
            with chaja.connect(server.address) as client:
                assert client.search.Search(SearchRequest(query="송금", limit=3)).hits
            assert "another server does" in last_line(run_server(*flags))
            server.process.kill()
            server.process.wait()
    path.unlink()
    path.write_text("a file of somebody")
    assert "it is no socket" in last_line(run_server(*flags))
    assert "at most 107 bytes" in last_line(run_server(*flags, "--listen", f"unix:{tmp_path / ('x' * 200)}"))


def test_what_cannot_be_served_is_one_line_and_an_exit_code(tiny_bundle: Path, tmp_path: Path) -> None:
    run = run_server(*server_flags(tmp_path / "missing", SAMPLE_CATALOGUE))
    assert run.returncode == 1
    assert "is not a bundle: it has no manifest.json; make one with python -m export" in last_line(run)

    broken = tmp_path / "broken.jsonl"
    broken.write_text('{"id": "a", "title": "A"}\n{"id": }\n')
    run = run_server(*server_flags(tiny_bundle, broken))
    assert run.returncode == 1
    assert f"{broken}:2: the line is not one whole JSON object" in last_line(run)

    run = run_server("--bundle", str(tiny_bundle))
    assert run.returncode == 2
    assert "give --catalogue (a file), --data (a directory) or both" in last_line(run)

    run = run_server(*server_flags(tiny_bundle, SAMPLE_CATALOGUE), "--listen", "192.0.2.1:0")
    assert run.returncode == 1
    assert "cannot listen on 192.0.2.1:0" in last_line(run)

    run = run_server(*server_flags(tiny_bundle, SAMPLE_CATALOGUE), "--metrics", "a..b:0")
    assert run.returncode == 1
    assert "cannot serve metrics on a..b:0" in last_line(run)


def test_help_lists_every_setting() -> None:
    run = run_server("--help")
    assert run.returncode == 0
    for name in ("--bundle", "CHAJA_DRAIN_SECONDS", "default: 127.0.0.1:50051"):
        assert name in run.stdout


def test_many_threads_may_share_a_client(tiny_server: ServerProcess) -> None:
    counts: list[int] = []
    with chaja.connect(tiny_server.address) as client:

        def search() -> None:
            counts.extend(len(client.search.Search(SearchRequest(query="적금", limit=5)).hits) for _ in range(20))

        threads = [threading.Thread(target=search) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert counts == [5] * 160
