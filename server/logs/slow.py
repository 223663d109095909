"""The slow-query log: a line for each query whose stages took long."""

from __future__ import annotations

from collections.abc import Mapping

from server.logs.event import event_log
from server.logs.rate import Rate
from server.stages import Stage

log = event_log("server.slow")


class SlowQueryLog:
    """Logs slow queries, at a bounded rate. The text of a query appears only if the operator allows it."""

    def __init__(self, seconds: float, *, show_texts: bool) -> None:
        """Takes the sum of a query's stages from which it is slow; 0 disables the log."""
        self._seconds = seconds
        self._show_texts = show_texts
        self._rate = Rate(lines=10, seconds=1)

    def wants(self, duration_seconds: float) -> bool:
        """Returns whether a query belongs into the log."""
        return 0 < self._seconds <= duration_seconds

    def write(
        self,
        text: str,
        stages: Mapping[Stage, float],
        *,
        duration_seconds: float,
        interpreted: str | None = None,
        **facts: object,
    ) -> None:
        """Logs a query that is wanted: the seconds of its stages, and further fields.

        `interpreted` is the text that was searched instead of `text`, if it was not searched itself.
        """
        if (not_logged := self._rate.allow()) is None:
            return
        query = {"query": text, "interpreted_query": interpreted} if self._show_texts else {}
        log.warning(
            "slow query",
            duration_seconds=duration_seconds,
            **{f"{stage}_seconds": seconds for stage, seconds in stages.items()},
            **facts,
            query_characters=len(text),
            **query,
            not_logged=not_logged or None,
        )
