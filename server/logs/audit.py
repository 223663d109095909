"""The audit log: who reloaded, wrote, deleted, imported and was refused, by the name of the token."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from server.logs.event import EndedCall, event_log
from server.logs.rate import Rate

log = event_log("server.audit")

ACTION_OF = {
    "chaja.v1.CatalogService/UpsertDocuments": "write",
    "chaja.v1.CatalogService/DeleteDocuments": "delete",
    "chaja.v1.CatalogService/ImportDocuments": "import",
    "chaja.v1.SynonymService/ChangeSynonyms": "change synonyms",
    "chaja.v1.MerchandisingService/PutRules": "put rules",
    "chaja.v1.MerchandisingService/DeleteRules": "delete rules",
    "chaja.v1.FeedbackService/EraseFeedback": "erase feedback",
    "chaja.v1.FeedbackService/Learn": "learn",
    "chaja.v1.AdminService/Reload": "reload",
}
"""The actions of the methods that change something."""


class AuditLog:
    """Logs calls that change something, with counts, and refusals, each at a bounded rate. Any thread may use it."""

    def __init__(self, *, on: bool) -> None:
        self._on = on
        self._calls = Rate(lines=100, seconds=10)
        self._refused = Rate(lines=1, seconds=10)

    def wants(self, method: str) -> bool:
        """Returns whether the calls of a method belong into the log."""
        return self._on and method in ACTION_OF

    def call(self, call: EndedCall, counts: Mapping[str, int]) -> None:
        """Logs a call that is wanted. `counts` are those of its `CallContext`."""
        if (not_logged := self._calls.allow(f"{call.token} {call.method}")) is not None:
            log.info(ACTION_OF[call.method], **counts, **call._asdict(), not_logged=not_logged or None)

    def refused(self, reason: str, *, method: str = "", caller: Callable[[], str] = str, peer: str = "") -> None:
        """Logs a refused call or connection; what is unknown is empty. `caller` returns the name of its token."""
        if not self._on:
            return
        if (not_logged := self._refused.allow(reason)) is not None:
            log.warning(
                "refused", reason=reason, method=method, token=caller(), peer=peer, not_logged=not_logged or None
            )

    def reloaded(self, *, source: str, failed: bool) -> None:
        """Logs a reload that no call has asked for, such as one after SIGHUP."""
        if self._on and (not_logged := self._calls.allow("reload")) is not None:
            log.info("reload", source=source, result="failed" if failed else "ok", not_logged=not_logged or None)

    def learnt(self, *, result: str, changed: int = 0) -> None:
        """Logs a run of learning that no call has asked for: ok, refused or failed, and the number of documents."""
        if self._on and (not_logged := self._calls.allow("learn")) is not None:
            log.info(
                "learn", source="--learn-every-seconds", changed=changed, result=result, not_logged=not_logged or None
            )
