"""Counts refused calls and connections by reason, and logs them at a bounded rate."""

import logging
import threading
import time
from collections.abc import Callable

from server.errors import ConnectionOverloaded, HeadersTooLarge, NotAllowed, NotAuthenticated, UnknownMethod
from server.metrics import Metrics, Refusal

log = logging.getLogger(__name__)

LOG_SECONDS = 10.0
"""Minimum time between two lines about the same reason."""


class Refusals:
    """The refusals of one server. Any thread may use it."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._lock = threading.Lock()
        self._next_at: dict[Refusal, float] = {}
        self._not_logged: dict[Refusal, int] = {}

    def count(self, reason: Refusal, *, path: str = "", caller: Callable[[], str] = str, peer: str = "") -> None:
        """Counts a refusal of a method's call, or of a connection. `caller` returns its token's name, if known."""
        self._metrics.refused[reason].inc()
        now = time.monotonic()
        with self._lock:
            before = self._not_logged.get(reason, 0)
            if now < self._next_at.get(reason, now):
                self._not_logged[reason] = before + 1
                return
            self._next_at[reason], self._not_logged[reason] = now + LOG_SECONDS, 0
        name = caller()
        facts = [path, name and f"token of {name}", peer, before and f"and {before} more since the last line"]
        log.warning("refused: %s", ", ".join([reason, *(str(each) for each in facts if each)]))


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
