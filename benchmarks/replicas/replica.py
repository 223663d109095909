"""A server that is killed and started again on the same address."""

import contextlib
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from sample.server_process import REPOSITORY

PAUSE_SECONDS = 0.5
"""Time between the end of a process and the start of the next one."""

START_SECONDS = 120.0
"""Maximum time of a start, on a machine that is busy."""

STOP_SECONDS = 60.0
CHECK_SECONDS = 0.05

FAULTS = ("Traceback (most recent call last)", " CRITICAL ")


class Replica:
    """One server. Like an orchestrator, it starts another process when one ends.

    Attributes:
        address: Its address, which stays the same.
        starts: Number of processes that were started.
        refused: Number of processes that ended by themselves before they served, as without a database.
    """

    def __init__(self, arguments: Sequence[str], log: Path) -> None:
        """Starts the first process, and waits until it serves. `arguments` name no address for gRPC."""
        self._arguments = list(arguments)
        self._log = log
        self.address = ""
        self.starts = self.refused = 0
        self._killed, self._ended = False, threading.Event()
        self._lock = threading.Lock()
        self._process = self._start("127.0.0.1:0")
        self._wait_for_address()
        self._thread = threading.Thread(target=self._keep_running, daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int:
        """The id of the newest process."""
        return self._process.pid

    @property
    def is_serving(self) -> bool:
        """Whether it is ready for calls."""
        with grpc.insecure_channel(self.address) as channel, contextlib.suppress(grpc.RpcError):
            stub: Any = health_pb2_grpc.HealthStub(channel)
            answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=2)
            return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
        return False

    @property
    def faults(self) -> list[str]:
        """The lines of its log that no server should write."""
        lines = self._log.read_text(encoding="utf-8").splitlines()
        return [line for line in lines if any(each in line for each in FAULTS)]

    def wait_until_serving(self) -> None:
        """Waits until it is ready for calls."""
        until = time.monotonic() + START_SECONDS
        while not self.is_serving:
            if time.monotonic() > until:
                raise TimeoutError(f"{self.address} does not serve: {self._last_line()}")
            time.sleep(CHECK_SECONDS)

    def kill(self) -> None:
        """Ends the running process with SIGKILL; another one is started."""
        with self._lock:
            self._killed = True
            self._process.kill()

    def restart(self) -> None:
        """Stops the process as an orchestrator does; another one is started."""
        with self._lock:
            self._killed = True
            self._process.send_signal(signal.SIGTERM)
        self._process.wait(STOP_SECONDS)

    def close(self) -> None:
        """Stops it."""
        with self._lock:
            self._ended.set()
            self._process.send_signal(signal.SIGTERM)
        self._thread.join()

    def _keep_running(self) -> None:
        while True:
            try:
                self._process.wait(STOP_SECONDS if self._ended.is_set() else None)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            if self._ended.is_set():
                return
            time.sleep(PAUSE_SECONDS)
            with self._lock:
                if self._ended.is_set():
                    return
                self.refused += not self._killed
                self._killed = False
                self._process = self._start(self.address)

    def _start(self, address: str) -> subprocess.Popen[bytes]:
        self.starts += 1
        command = [sys.executable, "-m", "server", *self._arguments, "--listen", address]
        with self._log.open("ab") as log:
            # In a separate process group: Ctrl-C reaches only the benchmark, which then stops it.
            return subprocess.Popen(command, cwd=REPOSITORY, stderr=log, process_group=0)

    def _wait_for_address(self) -> None:
        until = time.monotonic() + START_SECONDS
        while not self.address:
            if self._process.poll() is not None or time.monotonic() > until:
                self._process.kill()
                raise RuntimeError(f"the server did not start: {self._last_line()}")
            time.sleep(CHECK_SECONDS)
            if found := re.search(r"gRPC on (\S+), metrics on", self._log.read_text(encoding="utf-8")):
                self.address = found[1]

    def _last_line(self) -> str:
        return (self._log.read_text(encoding="utf-8").splitlines() or ["it has no log"])[-1]


@contextlib.contextmanager
def running_replicas(arguments: Sequence[str], folder: Path, *, count: int) -> Iterator[list[Replica]]:
    """Runs servers with the same arguments until the end of the context, and waits until all serve."""
    with contextlib.ExitStack() as stack:
        replicas = []
        for number in range(count):
            replicas.append(Replica(arguments, folder / f"server-{number}.log"))
            stack.callback(replicas[-1].close)
        for each in replicas:
            each.wait_until_serving()
        yield replicas


def target_of(replicas: Sequence[Replica]) -> str:
    """Returns the target of one channel to all of them."""
    return "ipv4:" + ",".join(each.address for each in replicas)
