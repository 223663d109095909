"""Starts, watches and kills the servers of `fork_server`."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import msgspec

import chaja
from sample.server_process import REPOSITORY
from tests.integration.durability.fork_server import MODULE, Start, Wait

POLL_SECONDS = 0.003


class ServerDied(Exception):
    """A server ended before it served."""


class ForkServer:
    """A process that forks servers. Any thread may use it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", MODULE], cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._lock = threading.Lock()
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def start(self, start: Start) -> "Server":
        """Starts a server without waiting for it."""
        return Server(self, self.ask(start), Path(start.log))

    def ask(self, request: Start | Wait) -> int:
        with self._lock:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.write(msgspec.json.encode(request).decode() + "\n")
            self._process.stdin.flush()
            return int(self._process.stdout.readline())

    def close(self) -> None:
        self._process.communicate(timeout=60)


@dataclass
class Server:
    """A server that was forked. A `with` statement kills it at its end."""

    forks: ForkServer
    pid: int
    log: Path
    code: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def text(self) -> str:
        """The log so far."""
        return self.log.read_text(encoding="utf-8") if self.log.exists() else ""

    def address(self, within_seconds: float = 30.0) -> str:
        """Waits until it serves; returns its address.

        Raises:
            ServerDied: It ended instead.
        """
        until = time.monotonic() + within_seconds
        while time.monotonic() < until:
            ended = self.ended
            text = self.text
            if re.search(r"server\.app: serving \d+ documents", text):
                found = re.search(r"gRPC on (\S+), metrics on", text)
                assert found is not None
                return found[1]
            if ended:
                raise ServerDied(text)
            time.sleep(POLL_SECONDS)
        raise AssertionError(f"it does not serve: {text}")

    def wait_for(self, line: str, within_seconds: float = 30.0) -> None:
        """Waits until its log has a line."""
        until = time.monotonic() + within_seconds
        while line not in self.text:
            assert time.monotonic() < until, self.text
            assert not self.ended, self.text
            time.sleep(POLL_SECONDS)

    @property
    def ended(self) -> bool:
        """Whether it has ended, even if nothing has waited for its end."""
        state = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
        return self.code is not None or state == "Z"

    def ends(self, within_seconds: float = 5.0) -> bool:
        """Returns whether it ends soon: its connections close shortly before it ends."""
        until = time.monotonic() + within_seconds
        while time.monotonic() < until and not self.ended:
            time.sleep(POLL_SECONDS)
        return self.ended

    @contextlib.contextmanager
    def client(self) -> Iterator[chaja.Client]:
        """Connects to it without retries and waiting, so that a test sees the result of each call."""
        with chaja.connect(self.address(), options=[("grpc.service_config", "{}")], timeout_seconds=30) as client:
            yield client

    def kill(self) -> None:
        """Kills it with SIGKILL."""
        if self.code is None:
            os.kill(self.pid, signal.SIGKILL)
            self.wait()

    def stop(self) -> int:
        """Drains it; returns the exit code."""
        if self.code is None:
            os.kill(self.pid, signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        """Waits for its end; returns the exit code, or the negative number of the signal."""
        if self.code is None:
            self.code = self.forks.ask(Wait(self.pid))
        return self.code
