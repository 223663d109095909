"""gRPC codes for what goes wrong below gRPC.

Sources: https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md and PROTOCOL-HTTP2.md, "Errors"
"""

from __future__ import annotations

from loadtest.codes import (
    CANCELLED,
    CODES,
    INTERNAL,
    PERMISSION_DENIED,
    REFUSED,
    UNAUTHENTICATED,
    UNAVAILABLE,
    UNIMPLEMENTED,
    UNKNOWN,
)

_OF_HTTP = {
    400: INTERNAL,
    401: UNAUTHENTICATED,
    403: PERMISSION_DENIED,
    404: UNIMPLEMENTED,
    429: UNAVAILABLE,
    502: UNAVAILABLE,
    503: UNAVAILABLE,
    504: UNAVAILABLE,
}
# REFUSED_STREAM, CANCEL, ENHANCE_YOUR_CALM, INADEQUATE_SECURITY.
_OF_RESET = {7: UNAVAILABLE, 8: CANCELLED, 11: REFUSED, 12: PERMISSION_DENIED}


def of_http(status: int) -> int:
    """Returns the code for an HTTP status other than 200 without a `grpc-status`."""
    return _OF_HTTP.get(status, UNKNOWN)


def of_reset(error: int) -> int:
    """Returns the code for a stream that was reset with an HTTP/2 error."""
    return _OF_RESET.get(error, INTERNAL)


def of_grpc(status: int) -> int:
    """Returns a `grpc-status` as it is, or UNKNOWN for a number that is no code."""
    return status if 0 <= status < len(CODES) else UNKNOWN
