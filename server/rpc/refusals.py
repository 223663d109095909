"""Counts refused calls and connections by reason, and writes them to the audit log."""

from collections.abc import Callable

from server.errors import ConnectionOverloaded, HeadersTooLarge, NotAllowed, NotAuthenticated, UnknownMethod
from server.logs.audit import AuditLog
from server.metrics import Metrics, Refusal


class Refusals:
    """The refusals of one server. Any thread may use it."""

    def __init__(self, metrics: Metrics, audit: AuditLog) -> None:
        self._metrics = metrics
        self._audit = audit

    def count(self, reason: Refusal, *, path: str = "", caller: Callable[[], str] = str, peer: str = "") -> None:
        """Counts a refusal of a method's call, or of a connection. `caller` returns its token's name, if known."""
        self._metrics.refused[reason].inc()
        self._audit.refused(reason, method=path[1:], caller=caller, peer=peer)


def reason_of(error: Exception) -> Refusal | None:
    """Returns the reason for an error that refuses a call before its method begins; None for other errors."""
    match error:
        case NotAuthenticated():
            return "token_unknown" if error.token_sent else "token_missing"
        case NotAllowed():
            return "role_insufficient"
        case UnknownMethod():
            return "unknown_method"
        case HeadersTooLarge():
            return "headers_too_large"
        case ConnectionOverloaded():
            return "connection_overloaded"
        case _:
            return None
