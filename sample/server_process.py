"""Runs `python -m server` as a separate process, for the demo and the tests."""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent
STOP_SECONDS = 30


class ServerEnded(Exception):
    """The server ended before it served; the message is the last line of its log."""


@dataclass
class ServerProcess:
    """A running server.

    Attributes:
        process: The process.
        address: Address of the gRPC services.
        metrics_url: URL of the metrics.
        lines: Lines of the log so far.
    """

    process: subprocess.Popen[str]
    address: str = ""
    metrics_url: str = ""
    lines: list[str] = field(default_factory=list)

    def stop(self) -> int:
        """Sends SIGTERM and waits; returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_SECONDS)


@contextlib.contextmanager
def running_server(
    arguments: Sequence[str],
    *,
    echo: Callable[[str], None] | None = None,
    module: str = "server",
    program: Sequence[str] = (),
) -> Iterator[ServerProcess]:
    """Starts a server, waits until it serves, and stops it at the end. Ctrl-C during the stop kills it.

    Args:
        arguments: The server's flags.
        echo: Called with each line of the server's log.
        module: Module to run instead of the server.
        program: Another way to start the server than `python -m MODULE`.

    Raises:
        ServerEnded: The server ended before it served.
    """
    command = [*(program or (sys.executable, "-m", module)), *arguments]
    # In a separate process group: a terminal's Ctrl-C reaches only this process, which then stops the server once.
    process = subprocess.Popen(
        command, cwd=REPOSITORY, stderr=subprocess.PIPE, text=True, encoding="utf-8", process_group=0
    )
    server = ServerProcess(process)
    serving = threading.Event()
    reader = threading.Thread(target=_read_lines, args=(server, serving, echo), daemon=True)
    reader.start()
    try:
        serving.wait()
        if not server.address or process.poll() is not None:
            raise ServerEnded(server.lines[-1] if server.lines else "the server ended without a message")
        yield server
    finally:
        if process.poll() is None:
            try:
                server.stop()
            except (subprocess.TimeoutExpired, KeyboardInterrupt):
                process.kill()
                process.wait()
        reader.join()


def _read_lines(server: ServerProcess, serving: threading.Event, echo: Callable[[str], None] | None) -> None:
    """Reads the server's log to its end; sets `serving` when the server serves or ends."""
    assert server.process.stderr is not None, "it is a pipe"
    with server.process.stderr as lines:
        for line in lines:
            server.lines.append(line.rstrip())
            if echo is not None:
                echo(server.lines[-1])
            if listening := re.search(r"gRPC on (\S+), metrics on (\S+); loading", line):
                server.address, server.metrics_url = listening.groups()
            if re.search(r"server\.app(: |\", \"message\": \")serving \d+ documents", line):
                serving.set()
    server.process.wait()
    serving.set()
