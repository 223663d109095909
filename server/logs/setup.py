"""Starts the log of the process, and sets its format."""

from __future__ import annotations

import logging
import sys
import threading
from types import TracebackType

from server.logs.handler import LineHandler
from server.logs.lines import LogFormat, line_formatter
from server.logs.texts import ShowUserTexts

log = logging.getLogger(__name__)


def start_log() -> None:
    """Sends the records of all loggers from INFO on to the standard error, as text."""
    handler = LineHandler()
    handler.setFormatter(line_formatter("console"))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)


def configure_log(log_format: LogFormat, *, show_texts: bool) -> None:
    """Sets the format of the log that `start_log` has started, and whether it shows users' texts.

    With JSON, unhandled exceptions are lines of JSON, too.
    """
    for handler in _handlers():
        handler.setFormatter(line_formatter(log_format))
        if show_texts:
            handler.addFilter(ShowUserTexts())
    if log_format == "json":
        sys.excepthook = _log_exception
        threading.excepthook = _log_thread_exception


def flush_log() -> None:
    """Waits until the lines so far are written, but not long."""
    for handler in _handlers():
        handler.flush()


def _handlers() -> list[LineHandler]:
    return [each for each in logging.getLogger().handlers if isinstance(each, LineHandler)]


def _log_exception(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    log.critical("the server crashed", exc_info=(kind, error, traceback))


def _log_thread_exception(crash: threading.ExceptHookArgs) -> None:
    if crash.exc_value is not None and not issubclass(crash.exc_type, SystemExit):
        name = crash.thread.name if crash.thread else "unknown"
        log.critical("thread %s crashed", name, exc_info=(crash.exc_type, crash.exc_value, crash.exc_traceback))
