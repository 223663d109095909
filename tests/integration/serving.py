"""Runs servers of the sample catalogue, and servers that cannot start."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from sample.server_process import REPOSITORY, ServerProcess, running_server
from tests.conftest import SAMPLE_CATALOGUE, server_flags


@contextlib.contextmanager
def sample_server(bundle: Path, *flags: str, module: str = "server") -> Iterator[ServerProcess]:
    """Runs a server, and checks that it logs no traceback."""
    with running_server(server_flags(bundle, SAMPLE_CATALOGUE, *flags), module=module) as server:
        yield server
    assert not [line for line in server.lines if "Traceback" in line]


def run_server(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a server until it exits."""
    command = [sys.executable, "-m", "server", *arguments]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=False)


def start_error(bundle: Path, *flags: str | Path, catalogue: Path = SAMPLE_CATALOGUE, code: int = 1) -> str:
    """Runs a server that cannot start; returns its error."""
    return error_line(run_server(*server_flags(bundle, catalogue, *map(str, flags))), code=code)


def error_line(run: subprocess.CompletedProcess[str], *, code: int = 1) -> str:
    """Returns the only line above INFO of a server that ended with `code`."""
    assert run.returncode == code, run.stderr
    (line,) = [line for line in run.stderr.splitlines() if " INFO " not in line]
    return line


def wait_until(condition: Callable[[], object], *, seconds: float = 20.0) -> None:
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, "the condition did not become true"
        time.sleep(0.01)


def wait_for_line(server: ServerProcess, *texts: str) -> None:
    """Waits for a line of the log that has all the texts."""
    wait_until(lambda: any(all(text in line for text in texts) for line in server.lines))


def health_of(address: str, service: str = "") -> int:
    with grpc.insecure_channel(address) as channel:
        request = health_pb2.HealthCheckRequest(service=service)
        stub: Any = health_pb2_grpc.HealthStub(channel)
        return int(stub.Check(request, timeout=10).status)
