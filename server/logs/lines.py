"""Turns log records into lines: text for people, or JSON for programs."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal, get_args

from structlog.processors import JSONRenderer, LogfmtRenderer
from structlog.stdlib import ProcessorFormatter
from structlog.typing import EventDict, WrappedLogger

LogFormat = Literal["console", "json"]

LOG_FORMATS: tuple[LogFormat, ...] = get_args(LogFormat)

MAX_CHARACTERS = 8192
"""Maximum characters of a value. Of a longer traceback the end is kept, of other values the beginning."""

CONTROL = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))} | {
    ord("\n"): "\\n", ord("\r"): "\\r", ord("\t"): "\\t", 0x2028: "\\u2028", 0x2029: "\\u2029"
}  # fmt: skip
"""Characters that could end a line, or control a terminal."""

_logfmt: Callable[..., str] = LogfmtRenderer()


def line_formatter(log_format: LogFormat) -> ProcessorFormatter:
    """Returns a formatter of the records that `LineHandler` prepares. JSON has one line for each record."""
    if log_format == "console":
        return ProcessorFormatter(processors=[_describe, _console])
    return ProcessorFormatter(processors=[_describe, _utc, JSONRenderer(ensure_ascii=False, default=str)])


def _describe(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Puts the fields that every line has first, and leaves out empty ones."""
    record = event.pop("_record")
    del event["_from_structlog"]
    line: EventDict = {
        "time": record.created,
        "level": record.levelname,
        "logger": record.name,
        "message": event.pop("event"),
        "request_id": event.pop("request_id", "") or getattr(record, "request_id", ""),
        "trace_id": event.pop("trace_id", "") or getattr(record, "trace_id", ""),
        **event,
    }
    fields = {name: _cut(value) for name, value in line.items() if value is not None and value != ""}
    if text := getattr(record, "exception", ""):
        fields["exception"] = text if len(text) <= MAX_CHARACTERS else "…" + text[1 - MAX_CHARACTERS :]
    return fields


def _utc(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    moment = datetime.fromtimestamp(event["time"], UTC)
    event["time"] = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return event


def _console(_: WrappedLogger, __: str, event: EventDict) -> str:
    """Returns `2026-11-30 07:37:31,123 INFO server.app: message field=value`, and a traceback on the lines after it."""
    moment = event.pop("time")
    shown = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment))
    start = f"{shown},{int(moment * 1000) % 1000:03d} {event.pop('level')} {event.pop('logger')}: "
    message, exception = str(event.pop("message", "")), event.pop("exception", "")
    fields = {name: round(value, 6) if isinstance(value, float) else value for name, value in event.items()}
    line = start + " ".join(filter(None, [message, _logfmt(None, "", fields)])).translate(CONTROL)
    # An error's message may contain a client's text.
    return "\n".join([line, *(each.translate(CONTROL) for each in exception.split("\n") if each)])


def _cut(value: object) -> object:
    if isinstance(value, str) and len(value) > MAX_CHARACTERS:
        return value[: MAX_CHARACTERS - 1] + "…"
    return value
