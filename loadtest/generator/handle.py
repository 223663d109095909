"""The coordinator's handle of a worker process."""

import contextlib
import os
import pickle
import queue
import subprocess
import sys
import threading

from loadtest.plan import Plan
from loadtest.results.blocks import Block, CutShort, read_blocks

Inbox = queue.Queue[tuple[int, Block | None]]
"""Pairs of worker number and block; `None` when the worker has exited."""


class WorkerHandle:
    """Starts a worker and puts its blocks into the inbox."""

    def __init__(self, plan: Plan, number: int, inbox: Inbox) -> None:
        self.number = number
        self._inbox = inbox
        # Not multiprocessing: it would run the main module of a program that uses this package as a library.
        self._process = subprocess.Popen(
            [sys.executable, "-m", "loadtest.generator.worker", str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            process_group=0,  # Only the coordinator gets Ctrl-C or a SIGTERM to the group; it stops the workers.
            env={
                "GRPC_VERBOSITY": "NONE",  # The results have the connection errors that gRPC would log.
                **os.environ,
                "PYTHONPATH": os.pathsep.join(path or "." for path in sys.path),
            },
        )
        self._send(plan)
        threading.Thread(target=self._follow, daemon=True).start()

    def start(self, start_ns: int) -> None:
        """Sends the start time, on the clock that all processes share."""
        self._send(start_ns)

    def stop(self) -> None:
        """Asks the worker to stop; it still sends its remaining records."""
        assert self._process.stdin is not None, "it is a pipe"
        with contextlib.suppress(OSError):
            self._process.stdin.close()

    def kill(self) -> None:
        """Kills the worker and waits until it has exited."""
        self.stop()
        self._process.kill()
        self._process.wait()

    def _send(self, message: Plan | int) -> None:
        assert self._process.stdin is not None, "it is a pipe"
        with contextlib.suppress(OSError):  # If the worker has exited, the end of its output reports it.
            pickle.dump(message, self._process.stdin)
            self._process.stdin.flush()

    def _follow(self) -> None:
        assert self._process.stdout is not None, "it is a pipe"
        with self._process.stdout as output, contextlib.suppress(CutShort):
            for block in read_blocks(output):
                self._inbox.put((self.number, block))
        self._process.wait()
        self._inbox.put((self.number, None))
