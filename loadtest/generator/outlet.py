"""The worker's output: a thread writes blocks to the coordinator, so that a full pipe never delays a send."""

import json
import queue
import threading
from typing import IO, Any

from loadtest.results.blocks import Kind, write_block

FLUSH_RECORDS = 4096


class Outlet:
    """Collects records; a thread writes them, and other blocks, in order."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._buffer: list[bytes] = []
        self._lock = threading.Lock()
        self._queue: queue.SimpleQueue[tuple[Kind, bytes] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write, daemon=True)
        self._thread.start()

    def record(self, packed: bytes) -> None:
        """Adds one packed record."""
        self._buffer.append(packed)
        if len(self._buffer) >= FLUSH_RECORDS:
            self.flush()

    def flush(self) -> None:
        """Queues the collected records for writing."""
        with self._lock:
            records, self._buffer = self._buffer, []
            if records:
                self._queue.put((Kind.RECORDS, b"".join(records)))

    def json(self, kind: Kind, value: dict[str, Any]) -> None:
        """Queues a block of JSON after the collected records."""
        self.flush()
        self._queue.put((kind, json.dumps(value).encode()))

    def close(self) -> None:
        """Waits until everything is written."""
        self.flush()
        self._queue.put(None)
        self._thread.join()

    def _write(self) -> None:
        try:
            while (item := self._queue.get()) is not None:
                write_block(self._file, *item)
                self._file.flush()
        except BrokenPipeError:  # The coordinator has exited; the closed standard input ends this process too.
            return
