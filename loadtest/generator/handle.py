"""The coordinator's handle of worker processes."""

import contextlib
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

from loadtest.core.channel import ENVIRONMENT
from loadtest.results.blocks import Block, CutShort, Kind, read_blocks, write_block, write_json

Deliver = Callable[[int, Block | None], None]
"""A function that takes the number of a worker process and its next block; `None` when the process has exited."""

Inbox = queue.Queue[tuple[int, Block | None]]
"""The blocks of all processes, as they were delivered."""


class WorkerHandle:
    """A worker process, and the thread that delivers its blocks."""

    def __init__(self, plan: bytes, number: int, deliver: Deliver) -> None:
        self._number = number
        self._deliver = deliver
        # Not multiprocessing: it would run the main module of a program that uses this package as a library.
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.worker", str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            process_group=0,  # Only the coordinator gets Ctrl-C or a SIGTERM to the group; it stops the workers.
            env={
                "GRPC_VERBOSITY": "NONE",  # The results have the connection errors that gRPC would log.
                **ENVIRONMENT,
                **os.environ,
                "PYTHONPATH": os.pathsep.join(path or "." for path in sys.path),
            },
        )
        threading.Thread(target=self._follow, args=(plan,), daemon=True).start()

    def start(self, start_ns: int) -> None:
        """Sends the start time, on the clock that all processes share. Call it when the worker is ready."""
        assert self._process.stdin is not None, "it is a pipe"
        with contextlib.suppress(OSError):  # If the worker has exited, the end of its output reports it.
            write_json(self._process.stdin, Kind.START, {"start_ns": start_ns})
            self._process.stdin.flush()

    def stop(self) -> None:
        """Asks the worker to stop; it still sends its remaining records."""
        assert self._process.stdin is not None, "it is a pipe"
        with contextlib.suppress(OSError):
            self._process.stdin.close()

    def kill(self) -> None:
        """Kills the worker and waits until it has exited."""
        self._process.kill()
        self._process.wait()
        self.stop()

    def _follow(self, plan: bytes) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None, "they are pipes"  # noqa: PT018
        with contextlib.suppress(OSError, ValueError):  # The worker has exited, or was stopped.
            write_block(self._process.stdin, Kind.PLAN, plan)
            self._process.stdin.flush()
        with self._process.stdout as output, contextlib.suppress(CutShort):
            for block in read_blocks(output):
                self._deliver(self._number, block)
        self._process.wait()
        self._deliver(self._number, None)


class LocalMachine:
    """The worker processes of this machine.

    Attributes:
        name: Empty: messages need not name this machine.
        head_start_seconds: Time from the readiness of all processes to the first send.
        numbers: The numbers of the processes.
    """

    name = ""
    head_start_seconds = 0.1

    def __init__(self) -> None:
        self.numbers: Sequence[int] = ()
        self._workers: list[WorkerHandle] = []

    def begin(self, plan: bytes, numbers: Sequence[int], deliver: Deliver) -> None:
        """Starts the processes.

        Args:
            plan: The encoded plan.
            numbers: The numbers of the processes.
            deliver: Takes their blocks; called in several threads.
        """
        self.numbers = numbers
        for number in numbers:
            self._workers.append(WorkerHandle(plan, number, deliver))

    def described(self) -> dict[str, Any] | None:
        """Returns nothing: the results file describes this machine anyway."""
        return None

    def drift(self) -> dict[str, Any] | None:
        """Returns nothing: one machine has one clock."""
        return None

    def start(self, start_ns: int) -> None:
        """Sends the start time to every process. Call it when all are ready."""
        for worker in self._workers:
            worker.start(start_ns)

    def stop(self) -> None:
        """Asks every process to stop; they still send their remaining records."""
        for worker in self._workers:
            worker.stop()

    def kill(self) -> None:
        """Kills every process and waits until all have exited."""
        for worker in self._workers:
            worker.kill()
