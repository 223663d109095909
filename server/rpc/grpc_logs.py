"""Drops the log records of grpcio that clients cause: with them, a client could fill a disk and expose tokens."""

import logging

import grpc

from server.logs import RepeatedLine

log = logging.getLogger(__name__)

INVALID_HEADER = "Invalid encoding on %s"
"""grpcio logs this with the value of the header, which may be a token, and a traceback."""

invalid_headers = RepeatedLine(log, "clients sent header values that are not UTF-8: %d since the server started")


class _ClientRecords(logging.Filter):
    """Drops tracebacks of clients that disconnect early, headers that are not UTF-8, and crashes.

    `Listener` reports a crash. grpcio logs its exception, and asyncio logs the same exception again.
    """

    def __init__(self) -> None:
        super().__init__()
        self._crash: BaseException | None = None

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
    for name in ("grpc._cython.cygrpc", "asyncio"):
        logging.getLogger(name).addFilter(_FILTER)
