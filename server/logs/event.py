"""Loggers of lines that consist of fields, such as those of the access log."""

from __future__ import annotations

import logging
from typing import Any, NamedTuple

import structlog
from structlog.stdlib import BoundLogger, ProcessorFormatter


def event_log(name: str) -> BoundLogger:
    """Returns a logger whose calls take a message and fields: `log.info("ended", code="OK")`."""
    log: Any = structlog.wrap_logger(
        logging.getLogger(name), processors=[ProcessorFormatter.wrap_for_formatter], wrapper_class=BoundLogger
    )
    bound: BoundLogger = log.bind()
    return bound


class EndedCall(NamedTuple):
    """A call that has ended, as the logs show it. Each field is a field of their lines.

    Attributes:
        method: Such as `chaja.v1.SearchService/Search`.
        code: The name of its gRPC code, such as `OK`.
        reason: The reason of its error (docs/errors.md), or an empty string.
        duration_seconds: Time from its arrival in the server's code to its answer.
        request_bytes: Size of the messages that were read.
        response_bytes: Size of the answers.
        token: Name of the caller's token, or an empty string.
        peer: Address of the caller, as gRPC writes it.
        request_id: Its request id.
        trace_id: Its trace, or an empty string.
    """

    method: str
    code: str
    reason: str
    duration_seconds: float
    request_bytes: int
    response_bytes: int
    token: str
    peer: str
    request_id: str
    trace_id: str
