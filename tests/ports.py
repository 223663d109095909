"""Ports for the servers of tests, and servers in separate processes, which print the port that they listen on."""

import contextlib
import socket
import subprocess
import sys
from collections.abc import Iterator

from sample.server_process import REPOSITORY


@contextlib.contextmanager
def listening(module: str, **options: float | str | None) -> Iterator[str]:
    """Runs `python -m module` with options such as `stall=1`; gives its address. An option of `None` is left out."""
    command = [sys.executable, "-m", module]
    for name, value in options.items():
        if value is not None:
            command += [f"--{name.replace('_', '-')}", str(value)]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None, "it is a pipe"
        try:
            yield f"127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


def free_ports(count: int) -> list[int]:
    """Returns ports that nothing listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
