import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2

import chaja
from chaja.v1 import SearchRequest
from sample.server_process import REPOSITORY, ServerProcess, running_server
from server.rpc.server import SERVICES
from tests.conftest import SAMPLE_CATALOGUE, server_flags
from tests.integration.errors import error_of
from tests.integration.scraping import status_of
from tests.integration.serving import error_line, health_of, run_server, sample_server, start_error, wait_until
from tests.ports import free_ports

Health = health_pb2.HealthCheckResponse
PROBES = ("/healthz", "/readyz")


@pytest.fixture(scope="module")
def long_catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Enough text that loading takes longer than a health check."""
    catalogue = tmp_path_factory.mktemp("long") / "catalogue.jsonl"
    documents = [
        {"id": str(number), "examples": [f"example {number} {example}" for example in range(100)]}
        for number in range(500)
    ]
    catalogue.write_text("".join(json.dumps(document) + "\n" for document in documents), encoding="utf-8")
    return catalogue


def test_the_server_is_not_serving_until_everything_is_loaded(tiny_bundle: Path, long_catalogue: Path) -> None:
    seen: dict[str, Any] = {}

    def while_loading(line: str) -> None:
        if "; loading" not in line:
            return
        address = line.partition("gRPC on ")[2].partition(",")[0]
        seen["health"] = [health_of(address, name) for name in ("", *(service.full_name for service in SERVICES))]
        with grpc.insecure_channel(address) as channel:
            seen["probes"] = [status_of(line.rpartition(" on ")[2].partition(";")[0], path) for path in PROBES]
            seen["error"] = error_of(chaja.Client(channel).search.Search, SearchRequest(query="a"), timeout=10)

    with running_server(server_flags(tiny_bundle, long_catalogue), echo=while_loading) as server:
        assert seen["health"] == [Health.NOT_SERVING] * (1 + len(SERVICES))
        assert seen["probes"] == [200, 503]
        assert [status_of(server.metrics_url, path) for path in (*PROBES, "/", "/metric")] == [200, 200, 200, 404]
        assert seen["error"].code() == grpc.StatusCode.UNAVAILABLE
        assert "still loading" in seen["error"].details()
        assert health_of(server.address) == Health.SERVING
        assert health_of(server.address, "chaja.v1.SearchService") == Health.SERVING


def test_a_client_waits_until_a_server_has_started_or_restarted(tiny_bundle: Path) -> None:
    address = f"127.0.0.1:{free_ports(1)[0]}"
    request = SearchRequest(query="송금", limit=4)
    with chaja.connect(address) as client, ThreadPoolExecutor(1) as pool:
        for _ in range(2):
            hits = pool.submit(lambda: client.search.Search(request, timeout=60).hits)
            with sample_server(tiny_bundle, "--listen", address):
                assert len(hits.result()) == 4
        with pytest.raises(grpc.RpcError, match="UNAVAILABLE"):
            client.search.Search(request, timeout=60, wait_for_ready=False)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_a_server_that_loads(tiny_bundle: Path, long_catalogue: Path, number: signal.Signals) -> None:
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


def test_an_address_that_cannot_be_bound_is_reported(tiny_server: ServerProcess, tiny_bundle: Path) -> None:
    metrics = tiny_server.metrics_url.removeprefix("http://").removesuffix("/metrics")
    for flag, address, message in (
        ("--listen", tiny_server.address, f"cannot listen on {tiny_server.address}: it is in use"),
        ("--metrics", metrics, f"cannot serve metrics on {metrics}: Address already in use"),
        ("--listen", "192.0.2.1:0", "cannot listen on 192.0.2.1:0"),
        ("--metrics", "a..b:0", "cannot serve metrics on a..b:0"),
    ):
        assert message in start_error(tiny_bundle, flag, address)


def test_a_unix_socket_is_served_by_one_server_at_a_time(tiny_bundle: Path, tmp_path: Path) -> None:
    path = tmp_path / "chaja.sock"
    listen = ("--listen", f"unix:{path}")
    for _ in range(2):  # A killed server leaves its socket, and the next server reuses it.
        with sample_server(tiny_bundle, *listen) as server:
            assert server.address == f"unix:{path}"
            with chaja.connect(server.address) as client:
                assert client.search.Search(SearchRequest(query="송금", limit=3)).hits
            assert "another server uses it" in start_error(tiny_bundle, *listen)
            server.process.kill()
            server.process.wait()
    path.unlink()
    path.write_text("a file")
    assert "it is not a socket" in start_error(tiny_bundle, *listen)
    assert "at most 107 bytes" in start_error(tiny_bundle, "--listen", f"unix:{tmp_path / ('x' * 200)}", code=2)


def test_a_missing_bundle_or_catalogue_gives_one_line_and_an_exit_code(tiny_bundle: Path, tmp_path: Path) -> None:
    message = "is not a bundle: it has no manifest.json; make one with python -m export"
    assert message in start_error(tmp_path / "missing")
    broken = tmp_path / "broken.jsonl"
    broken.write_text('{"id": "a", "title": "A"}\n{"id": }\n')
    assert f"{broken}:2: the line is not one whole JSON object" in start_error(tiny_bundle, catalogue=broken)
    message = "set --catalogue (a file), --data (a directory or database) or both"
    assert message in error_line(run_server("--bundle", str(tiny_bundle)), code=2)


def test_help_lists_every_setting() -> None:
    run = run_server("--help")
    assert run.returncode == 0
    for name in ("--bundle", "CHAJA_DRAIN_SECONDS", "default: 127.0.0.1:50051"):
        assert name in run.stdout


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_no_signal_kills_a_server_that_starts(tiny_bundle: Path, number: signal.Signals) -> None:
    for seconds in (0.0, 0.1, 0.3, 0.5, 0.8, 1.2):
        with starting_server(tiny_bundle) as process:
            time.sleep(seconds)
            process.send_signal(number)
            if number == signal.SIGHUP:
                lines = lines_until(process, "server.app: serving")
                process.send_signal(signal.SIGTERM)
                lines += lines_until(process, None)
            else:
                lines = lines_until(process, None)
            assert process.wait(30) == 0, lines
            assert not [line for line in lines if "Traceback" in line or " ERROR " in line]
            assert "stopped" in lines[-1]


def test_a_reload_that_is_asked_for_during_the_start_follows_it(tiny_bundle: Path) -> None:
    with starting_server(tiny_bundle) as process:
        lines_until(process, "; loading")
        process.send_signal(signal.SIGHUP)
        lines = lines_until(process, "reloading while revision")
        assert any("server.app: serving" in line for line in lines)
        process.send_signal(signal.SIGTERM)
        lines_until(process, None)
        assert process.wait(20) == 0


@contextlib.contextmanager
def starting_server(bundle: Path) -> Iterator[subprocess.Popen[str]]:
    """Starts a server; returns once Python runs its first lines."""
    command = [sys.executable, "-m", "server", *server_flags(bundle, SAMPLE_CATALOGUE)]
    with subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.PIPE, text=True) as process:
        try:
            wait_until(lambda: handles(process.pid, signal.SIGHUP))
            yield process
        finally:
            process.kill()


def handles(pid: int, number: signal.Signals) -> bool:
    """Returns whether a process handles a signal."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    (caught,) = [line.split()[1] for line in status.splitlines() if line.startswith("SigCgt")]
    return bool(int(caught, 16) >> (number - 1) & 1)


def lines_until(process: subprocess.Popen[str], text: str | None) -> list[str]:
    """Reads the log up to a line with a text, or to its end; returns the lines."""
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if text is not None and text in line:
            return lines
    assert text is None, lines
    return lines
