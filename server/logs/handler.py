"""Writes log lines from a bounded queue in one thread, so that no caller waits for the standard error.

What does not fit into the queue, or cannot be written, is dropped and counted.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from queue import SimpleQueue

from server.call_context import CallContext
from server.logs.dropped import DROPPED

QUEUE_LINES = 8192
"""Maximum lines that wait. At 1,500 lines per second, a standard error that blocks for 5 s loses none."""

FLUSH_SECONDS = 2.0
"""Maximum time that the end of the process waits for the last lines."""


class LineHandler(logging.Handler):
    """Puts records into the queue, with the ids of their call. The first record starts the thread."""

    def __init__(self) -> None:
        super().__init__()
        # A signal handler may log while the main thread logs: this queue allows that, `queue.Queue` would block.
        self._queue: SimpleQueue[logging.LogRecord | threading.Event] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._cut = False

    def emit(self, record: logging.LogRecord) -> None:
        """Takes a record."""
        if self._queue.qsize() >= QUEUE_LINES:
            DROPPED.add()
            return
        if (call := CallContext.current()) is not None:
            record.request_id, record.trace_id = call.request_id, call.trace_id
        try:
            if not isinstance(record.msg, dict):  # The fields of an event: see `event_log`.
                record.msg, record.args = record.getMessage(), None
            if record.exc_info:  # Its frames must not live until the line is written.
                record.exception = logging.Formatter().formatException(record.exc_info)
                record.exc_info = record.exc_text = None
        except Exception:
            self.handleError(record)
            return
        self._queue.put(record)
        if self._thread is None:
            self._thread = threading.Thread(target=self._write_all, name="log", daemon=True)
            self._thread.start()

    def flush(self) -> None:
        """Waits for the lines that were logged before, at most FLUSH_SECONDS."""
        if self._thread is not None:
            written = threading.Event()
            self._queue.put(written)
            written.wait(FLUSH_SECONDS)

    def _write_all(self) -> None:
        while True:
            item = self._queue.get()
            if isinstance(item, threading.Event):
                item.set()
                continue
            try:
                self._write(f"{self.format(item)}\n".encode("utf-8", "backslashreplace"))
            except Exception:  # The disk is full, the pipe is closed, or a value cannot be shown.
                DROPPED.add()

    def _write(self, line: bytes) -> None:
        """Writes to the file descriptor: a thread that blocks in `sys.stderr` would also block the others, and exit."""
        if sys.stderr is None:
            raise OSError("there is no standard error")
        if self._cut:  # The disk was full in the middle of a line.
            line = b"\n" + line
        descriptor, begun = sys.stderr.fileno(), len(line)
        while line:
            try:
                line = line[os.write(descriptor, line) :]
            except OSError:
                self._cut = self._cut or len(line) < begun
                raise
        self._cut = False
