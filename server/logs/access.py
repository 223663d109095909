"""The access log: a line for each ended call, or for a share of them."""

from __future__ import annotations

import random
from typing import Literal, get_args

from server.logs.event import EndedCall, event_log
from server.logs.rate import Rate

log = event_log("server.access")

AccessLogMode = Literal["off", "sampled", "all"]

ACCESS_LOG_MODES: tuple[AccessLogMode, ...] = get_args(AccessLogMode)

OK = "OK"


class AccessLog:
    """Logs all calls, or a share of the successful ones and all failed ones at a bounded rate."""

    def __init__(self, mode: AccessLogMode, share: float) -> None:
        self._all = mode == "all"
        self._off = mode == "off"
        self._share = share
        self._failed = Rate(lines=10, seconds=1)

    def wants(self, *, failed: bool) -> bool:
        """Returns whether a call that has ended belongs into the log. Costs almost nothing when the log is off."""
        return not self._off and (self._all or failed or random.random() < self._share)  # noqa: S311  not a secret

    def write(self, call: EndedCall) -> None:
        """Logs a call that is wanted."""
        not_logged: int | None = 0
        if not self._all and call.code != OK:
            not_logged = self._failed.allow(f"{call.code} {call.reason}")
            if not_logged is None:
                return
        log.info("call ended", **call._asdict(), not_logged=not_logged or None)
