"""The thread that writes the log, to real pipes and to a device that is always full."""

import contextlib
import logging
import os
import threading
import time
from collections.abc import Iterator
from typing import TextIO

import pytest

from server.call_context import CallContext
from server.logs import handler as handler_module
from server.logs.dropped import DROPPED
from server.logs.handler import QUEUE_LINES, LineHandler


@pytest.fixture
def dropped() -> Iterator[list[float]]:
    counts: list[float] = []
    DROPPED.deliver(counts.append)
    counts.clear()
    yield counts
    DROPPED.deliver(lambda _: None)


@contextlib.contextmanager
def logging_to(file: TextIO, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[logging.Logger, LineHandler]]:
    log, handler = logging.Logger("test", logging.INFO), LineHandler()
    log.addHandler(handler)
    with monkeypatch.context() as patch:
        patch.setattr("sys.stderr", file)
        yield log, handler
        handler.flush()


def test_lines_are_written_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as file, logging_to(file, monkeypatch) as (log, handler):
        for number in range(1000):
            log.info("line %d", number)
        handler.flush()
    with os.fdopen(reading) as lines:
        assert lines.read().split("\n") == [*(f"line {number}" for number in range(1000)), ""]


def test_a_log_that_blocks_delays_no_caller_and_drops_what_does_not_fit(
    monkeypatch: pytest.MonkeyPatch, dropped: list[float]
) -> None:
    monkeypatch.setattr(handler_module, "FLUSH_SECONDS", 0.1)
    reading, writing = os.pipe()  # Its buffer holds 64 KiB.
    with os.fdopen(writing, "w") as file, logging_to(file, monkeypatch) as (log, handler):
        line = "x" * 1000
        for _ in range(QUEUE_LINES + 2000):
            log.info(line)
        assert 1000 < sum(dropped) <= 2000
        handler.flush()  # Gives up.
        received = bytearray()
        reader = threading.Thread(target=lambda: received.extend(_read_all(reading)), daemon=True)
        reader.start()
        monkeypatch.setattr(handler_module, "FLUSH_SECONDS", 30.0)
        handler.flush()
        log.info("the last")
        handler.flush()
    reader.join(30)
    lines = received.decode().splitlines()
    assert lines[-1] == "the last"
    assert len(lines) + sum(dropped) == QUEUE_LINES + 2001


def _read_all(descriptor: int) -> bytes:
    with os.fdopen(descriptor, "rb") as file:
        return file.read()


def test_a_full_disk_drops_lines_and_the_log_continues_when_there_is_room(
    monkeypatch: pytest.MonkeyPatch, dropped: list[float]
) -> None:
    reading, writing = os.pipe()
    with (
        os.fdopen(writing, "w") as file,
        open("/dev/full", "w") as full,  # noqa: PTH123
        logging_to(full, monkeypatch) as (log, handler),
    ):
        log.info("lost")
        handler.flush()
        assert sum(dropped) == 1
        monkeypatch.setattr("sys.stderr", file)
        log.info("written")
        handler.flush()
    with os.fdopen(reading) as lines:
        assert lines.read() == "written\n"


def test_a_line_that_was_cut_does_not_join_the_next(monkeypatch: pytest.MonkeyPatch, dropped: list[float]) -> None:
    written: list[bytes] = []

    def write(_: int, data: bytes) -> int:
        if len(written) == 1:
            written.append(b"")
            raise OSError(28, "No space left on device")
        written.append(data[:4] if not written else data)
        return len(written[-1])

    with open(os.devnull, "w") as file, logging_to(file, monkeypatch) as (log, handler):  # noqa: PTH123
        monkeypatch.setattr("server.logs.handler.os.write", write)
        log.info("a long line")
        log.info("the next")
        handler.flush()
    assert b"".join(written) == b"a lo\nthe next\n"
    assert sum(dropped) == 1


def test_without_a_standard_error_lines_are_counted(monkeypatch: pytest.MonkeyPatch, dropped: list[float]) -> None:
    with logging_to(None, monkeypatch) as (log, handler):  # type: ignore[arg-type]
        log.info("lost")
        handler.flush()
    assert sum(dropped) == 1


def test_a_record_has_the_ids_of_its_call_and_keeps_no_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[logging.LogRecord] = []
    with open(os.devnull, "w") as file, logging_to(file, monkeypatch) as (log, handler):  # noqa: PTH123

        def remember(record: logging.LogRecord) -> str:
            shown.append(record)
            return ""

        monkeypatch.setattr(handler, "format", remember)

        def call() -> None:
            CallContext("id-1").make_current()
            try:
                _ = 1 / 0
            except ZeroDivisionError:
                log.exception("failed")

        thread = threading.Thread(target=call)
        thread.start()
        thread.join()
        handler.flush()
    (record,) = shown
    assert record.request_id == "id-1"  # type: ignore[attr-defined]
    assert record.exc_info is None
    assert "ZeroDivisionError" in record.exception  # type: ignore[attr-defined]


def test_logging_costs_the_caller_little_while_the_log_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handler_module, "FLUSH_SECONDS", 0.1)
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as file, logging_to(file, monkeypatch) as (log, _):
        started = time.thread_time()
        for _ in range(20_000):
            log.info("x" * 100)
        assert (time.thread_time() - started) / 20_000 < 0.001, "a line costs the caller microseconds"
        threading.Thread(target=_read_all, args=(reading,), daemon=True).start()
        monkeypatch.setattr(handler_module, "FLUSH_SECONDS", 30.0)
