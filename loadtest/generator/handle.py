"""The coordinator's end of a worker process."""

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
"""Blocks with the number of their worker; `None` when the worker has ended."""


class WorkerHandle:
    """Starts a worker and follows what it says."""

    def __init__(self, plan: Plan, number: int, inbox: Inbox) -> None:
        self.number = number
        self._inbox = inbox
        # A process of its own rather than multiprocessing's, which would run the main module of whoever uses this
        # as a library.
        self._process = subprocess.Popen(
            [sys.executable, "-m", "loadtest.generator.worker", str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            process_group=0,  # Ctrl-C, or a SIGTERM to the group, is for the coordinator: it says when to stop.
            env={
                "GRPC_VERBOSITY": "NONE",  # What it would log of a connection is in the results.
                **os.environ,
                "PYTHONPATH": os.pathsep.join(path or "." for path in sys.path),
            },
        )
        self._send(plan)
        threading.Thread(target=self._follow, daemon=True).start()

    def start(self, start_ns: int) -> None:
        """Tells it when to start, on the clock that all processes share."""
        self._send(start_ns)

    def stop(self) -> None:
        """Tells it to stop; it says what it still has."""
        assert self._process.stdin is not None, "it is a pipe"
        with contextlib.suppress(OSError):
            self._process.stdin.close()

    def kill(self) -> None:
        """Ends it at once, and waits until it is gone."""
        self.stop()
        self._process.kill()
        self._process.wait()

    def _send(self, message: Plan | int) -> None:
        assert self._process.stdin is not None, "it is a pipe"
        with contextlib.suppress(OSError):  # If it is gone, its end of output says so.
            pickle.dump(message, self._process.stdin)
            self._process.stdin.flush()

    def _follow(self) -> None:
        assert self._process.stdout is not None, "it is a pipe"
        with self._process.stdout as output, contextlib.suppress(CutShort):
            for block in read_blocks(output):
                self._inbox.put((self.number, block))
        self._process.wait()
        self._inbox.put((self.number, None))
