import json
import logging
import sys
from typing import Any

import pytest

from server.logs.event import event_log
from server.logs.handler import LineHandler
from server.logs.lines import MAX_CHARACTERS, LogFormat, line_formatter

log = logging.getLogger("server.test")


class Collected(LineHandler):
    """Keeps lines instead of writing them."""

    def __init__(self, log_format: LogFormat) -> None:
        super().__init__()
        self.setFormatter(line_formatter(log_format))
        self.lines: list[str] = []

    def _write(self, line: bytes) -> None:
        self.lines.append(line.decode())


def logged(log_format: LogFormat, write: Any, *, name: str = "server.test") -> str:
    handler, logger = Collected(log_format), logging.getLogger(name)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False  # pytest-xdist cannot send a captured text that is not Unicode.
    try:
        write()
        handler.flush()
    finally:
        logger.propagate = True
        logger.removeHandler(handler)
    (line,) = handler.lines
    assert line.endswith("\n")
    return line[:-1]


def test_the_console_shows_time_level_logger_and_message() -> None:
    line = logged("console", lambda: log.info("serving %d documents", 7))
    date, time, rest = line.split(" ", 2)
    assert (len(date), len(time)) == (len("2026-11-30"), len("07:37:31,123"))
    assert rest == "INFO server.test: serving 7 documents"


def test_json_has_the_fixed_fields_first() -> None:
    fields = json.loads(logged("json", lambda: log.warning("%s is missing", "/a/문서")))
    assert list(fields) == ["time", "level", "logger", "message"]
    assert fields | {"time": ""} == {
        "time": "", "level": "WARNING", "logger": "server.test", "message": "/a/문서 is missing",
    }  # fmt: skip
    assert fields["time"].endswith("Z")
    assert len(fields["time"]) == len("2026-11-30T07:37:31.123Z")


def test_the_fields_of_an_event_follow() -> None:
    def write() -> None:
        event_log("server.test").info("call ended", code="OK", duration_seconds=0.1234567, token="", hits=None)

    assert logged("console", write).endswith("INFO server.test: call ended code=OK duration_seconds=0.123457")
    fields = json.loads(logged("json", write))
    assert fields.keys() == {"time", "level", "logger", "message", "code", "duration_seconds"}
    assert (fields["message"], fields["duration_seconds"]) == ("call ended", 0.1234567)


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_no_value_can_begin_a_line_or_control_a_terminal(log_format: LogFormat) -> None:
    hostile = "a\nserver: fake line\r\x1b[2J\x9b\u2028\x00"

    def write() -> None:
        event_log("server.test").info(hostile, query=hostile)

    line = logged(log_format, write)
    assert len(line.splitlines()) == 1 or log_format == "json"
    assert not {"\n", "\r", "\x1b", "\x00"} & set(line)
    if log_format == "json":
        assert json.loads(line)["query"] == hostile


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_an_error_has_its_traceback(log_format: LogFormat) -> None:
    def write() -> None:
        try:
            _ = 1 / 0
        except ZeroDivisionError:
            log.exception("incident %s", "1a")

    line = logged(log_format, write)
    text = line if log_format == "console" else json.loads(line)["exception"]
    assert "Traceback (most recent call last)" in text
    assert text.endswith("ZeroDivisionError: division by zero")
    assert ("\n" in line) is (log_format == "console")


def test_long_values_are_cut() -> None:
    def write() -> None:
        event_log("server.test").info("m" * 100_000, query="q" * 100_000)

    fields = json.loads(logged("json", write))
    assert len(fields["message"]) == len(fields["query"]) == MAX_CHARACTERS


def test_a_text_that_is_not_unicode_is_written() -> None:
    assert json.loads(logged("json", lambda: log.info("caf\udce9")))["message"] == "caf\udce9"
    assert logged("console", lambda: log.info("caf\udce9")).endswith(r"caf\udce9")


def test_a_value_that_is_not_json_is_shown_as_text() -> None:
    assert json.loads(logged("json", lambda: event_log("server.test").info("a", path=sys)))["path"].startswith("<mod")
