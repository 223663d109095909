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

UNANSWERED = len(CODES)
"""The outcome of a call that was sent, and whose answer had not come when the run ended."""

OUTCOMES = (*CODES, "UNANSWERED")
"""The outcomes of calls by their number in a record: gRPC's codes, and one of our own."""

OK = CODES.index("OK")
REFUSED = CODES.index("RESOURCE_EXHAUSTED")
"""The code of a server that sheds load."""
UNIMPLEMENTED = CODES.index("UNIMPLEMENTED")
INTERNAL = CODES.index("INTERNAL")
DENIED = {CODES.index(name): name for name in ("PERMISSION_DENIED", "UNAUTHENTICATED")}
UNAVAILABLE = CODES.index("UNAVAILABLE")
UNKNOWN = CODES.index("UNKNOWN")
