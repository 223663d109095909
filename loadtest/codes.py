"""gRPC's status codes by their number (https://github.com/grpc/grpc/blob/master/doc/statuscodes.md)."""

CODES = (
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
)

OK = CODES.index("OK")
REFUSED = CODES.index("RESOURCE_EXHAUSTED")
"""The code of a server that sheds load."""
UNIMPLEMENTED = CODES.index("UNIMPLEMENTED")
INTERNAL = CODES.index("INTERNAL")
DENIED = {CODES.index(name): name for name in ("PERMISSION_DENIED", "UNAUTHENTICATED")}
UNAVAILABLE = CODES.index("UNAVAILABLE")
