"""Generator machines on this machine."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.loadtest.integration.attacks import COMMAND, COMMAND_OPTIONS, ENVIRONMENT


class Worker(subprocess.Popen[str]):
    """A process of the command `worker`.

    Attributes:
        address: Where it listens.
    """

    address: str

    def children(self) -> list[int]:
        """Returns the worker's processes, which its threads started."""
        lists = Path(f"/proc/{self.pid}/task").glob("*/children")
        return [int(child) for each in lists for child in each.read_text().split()]


@contextlib.contextmanager
def worker(*flags: str, **environment: str) -> Iterator[Worker]:
    """Runs a worker on a free port of 127.0.0.1 while the context lasts."""
    command = [*COMMAND, "worker", "--listen", "127.0.0.1:0", *flags]
    with Worker(command, env={**ENVIRONMENT, **environment}, stderr=subprocess.PIPE, **COMMAND_OPTIONS) as process:
        try:
            assert process.stdout is not None, "it is a pipe"
            process.address = process.stdout.readline().removeprefix("listening on ").strip()
            yield process
        finally:
            process.kill()


@contextlib.contextmanager
def two_workers() -> Iterator[tuple[Worker, Worker]]:
    """Runs two workers."""
    with worker() as one, worker() as other:
        yield one, other
