"""Drops the log records of grpcio that clients cause: with them, a client could fill a disk and expose tokens.

One of them is the only sign of a message that gRPC refuses, so this module remembers it.
"""

import logging

import grpc

from server.logs.rate import RepeatedLine

log = logging.getLogger(__name__)

CORE = "grpc._cython.cygrpc"

INVALID_HEADER = "Invalid encoding on %s"
"""grpcio logs this with the value of the header, which may be a token, and a traceback."""

REFUSED_MESSAGE = "Failed to receive any message"
"""The beginning of grpcio's line about a message that is too large or cannot be decompressed. It logs it at the level
DEBUG just before `read` returns as if the request had ended, and not for a client that cancels or disconnects."""

invalid_headers = RepeatedLine(log, "clients sent header values that are not UTF-8: %d since the server started")


class _ClientRecords(logging.Filter):
    """Drops tracebacks of clients that disconnect early, headers that are not UTF-8, and crashes.

    `Listener` reports a crash. grpcio logs its exception, and asyncio logs the same exception again.
    """

    def __init__(self) -> None:
        super().__init__()
        self._crash: BaseException | None = None
        self.refused_message = False

    def debug(self, line: object, *_: object, **__: object) -> None:
        """Takes the place of `Logger.debug`: grpcio logs a line for each call, and a record of each is slow."""
        if str(line).startswith(REFUSED_MESSAGE):
            self.refused_message = True

    def filter(self, record: logging.LogRecord) -> bool:
        if record.msg == INVALID_HEADER:
            invalid_headers.add()
            return False
        if isinstance(record.msg, BaseException):
            self._crash = record.msg
            return False
        error = record.exc_info[1] if record.exc_info else None
        return error is None or not (isinstance(error, grpc.aio.InternalError) or error is self._crash)


_FILTER = _ClientRecords()


def shorten_logs() -> None:
    """Installs the filter; repeated calls have no effect."""
    for name in (CORE, "asyncio"):
        logging.getLogger(name).addFilter(_FILTER)
    logging.getLogger(CORE).debug = _FILTER.debug  # type: ignore[assignment, method-assign]


def message_was_refused() -> bool:
    """Returns whether gRPC has refused a message. Call it at once after each read that ends a request."""
    refused, _FILTER.refused_message = _FILTER.refused_message, False
    return refused
