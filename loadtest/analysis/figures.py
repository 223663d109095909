"""The figures of a summary that an objective can name."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from loadtest.analysis.latency import Latencies
from loadtest.analysis.summary import Summary
from loadtest.stages import STAGES


@dataclass(frozen=True)
class Figure:
    """A figure of a summary.

    Attributes:
        unit: `seconds`, `share` or `number`.
        meaning: Its description, for the documentation.
        of: Returns the figure of a summary; NaN if it has none.
    """

    unit: str
    meaning: str
    of: Callable[[Summary], float]


FIGURES: dict[str, Figure] = {
    "errors": Figure(
        "share",
        "requests that did not succeed, of those planned: failed, also inside an OK answer, refused, unanswered or "
        "dropped",
        lambda summary: summary.error_share,
    ),
    "refused": Figure(
        "share", "requests that the server refused (RESOURCE_EXHAUSTED, also inside an OK answer), of those planned",
        lambda summary: _share(summary.total.refused.count, summary.planned),
    ),
    "unanswered": Figure(
        "share", "requests that were sent and not answered when the run ended, of those planned",
        lambda summary: _share(summary.unanswered, summary.planned),
    ),
    "dropped": Figure(
        "share", "requests that were planned but not sent, of those planned",
        lambda summary: _share(summary.dropped, summary.planned),
    ),
    "failed_parts": Figure(
        "share", "parts of OK answers that carry an error, of those that can",
        lambda summary: _share(summary.total.failed_parts, summary.total.parts, empty=math.nan),
    ),
    "late": Figure(
        "share", "requests that were sent late, of those sent", lambda summary: summary.generator.late_share
    ),
    "cached": Figure(
        "share", "answers that the server did not encode, of those with stages: the query's vector was cached, or the "
        "mode is lexical",
        lambda summary: summary.total.cached_share,
    ),
    "offered": Figure("number", "planned requests a second", lambda summary: summary.offered_rate),
    "rate": Figure("number", "successes a second", lambda summary: summary.achieved_rate),
    "goodput": Figure("number", "successes a second within the latency limit", lambda summary: summary.goodput_rate),
    "messages": Figure(
        "number", "messages a second in the answers of successful streams",
        lambda summary: summary.total.streams.received / (summary.seconds or math.nan),
    ),
    "silent": Figure(
        "share", "streams without a message, of the successful streams",
        lambda summary: _share(
            summary.total.streams.silent, summary.total.streams.silent + summary.total.streams.calls, empty=math.nan
        ),
    ),
    "recall": Figure(
        "share", "mean recall@k of the answers to labelled queries", lambda summary: summary.quality.recall
    ),
    "ndcg": Figure("share", "mean nDCG@k of the answers to labelled queries", lambda summary: summary.quality.ndcg),
    "failed_checks": Figure(
        "share", "answers that failed a check (`--check`), of those checked",
        lambda summary: _share(summary.total.checks.failed, summary.total.checks.answers, empty=math.nan),
    ),
    "different": Figure(
        "share", "answers that differ from the reference answer, of those compared",
        lambda summary: _share(summary.quality.different, summary.quality.compared, empty=math.nan),
    ),
}  # fmt: skip


def _of_stage(stage: str) -> Callable[[Summary], Latencies]:
    return lambda summary: summary.total.stages[stage]


DISTRIBUTIONS: dict[str, tuple[str, Callable[[Summary], Latencies]]] = {
    "": ("latency of successes, from the planned time", lambda summary: summary.total.ok.latency),
    "service": ("service time of successes, from the actual send", lambda summary: summary.total.ok.service),
    "refused": ("latency of refused calls, from the planned time", lambda summary: summary.total.refused.latency),
    **{stage: (f"the server's time in {stage}", _of_stage(stage)) for stage in STAGES},
    "server": ("the server's time in all stages", lambda summary: summary.total.server),
    "first_message": (
        "from the send to the first message of successful streams",
        lambda summary: summary.total.streams.first,
    ),
    "gap": ("mean time between two messages of each successful stream", lambda summary: summary.total.streams.between),
    "longest_gap": (
        "longest time between two messages of each successful stream",
        lambda summary: summary.total.streams.longest,
    ),
}
"""Distributions that have percentiles, `mean` and `max`: `p99`, `service.p99`, `encode.mean` …"""


OF_ALL_CALLS = ("dropped", "late", "offered", "recall", "ndcg", "different")
"""Figures that one call of a mix does not have."""


def _share(part: int, whole: int, *, empty: float = 0.0) -> float:
    return part / whole if whole else empty
