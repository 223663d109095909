"""The rows of a report's tables, as texts; whoever prints them escapes them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from loadtest.analysis.latency import Latencies
from loadtest.analysis.summary import CallSummary, Summary
from loadtest.reports.charts import BEYOND_SERVER
from loadtest.results.file import Run

PERCENTS = (50, 90, 95, 99, 99.9)
LATENCY_COLUMNS = ("ms", "count", "mean", *(f"p{percent:g}" for percent in PERCENTS), "max")
CALL_COLUMNS = ("call", "sent", "OK", "refused", "errors", "mean ms", "p50 ms", "p99 ms", "p99.9 ms")

Row = tuple[str, ...]


def latency_rows(call: CallSummary) -> list[Row]:
    """Returns a row for successes from the planned time and by service time, for refused calls and each error."""
    rows = [_row("from planned time", call.ok.latency), _row("service time", call.ok.service)]
    if call.refused.count:
        rows.append(_row("refused (RESOURCE_EXHAUSTED)", call.refused.latency))
    return rows + [_row(outcome.code, outcome.latency) for outcome in call.errors]


def stage_rows(call: CallSummary) -> list[Row]:
    """Returns a row for each stage of the server, for their sum, and for what is left of the service time."""
    rows = [_row(stage, latencies) for stage, latencies in call.stages.items()]
    return [*rows, _row("server, all stages", call.server), _row(BEYOND_SERVER, call.beyond_server)]


def call_rows(summary: Summary) -> list[Row]:
    """Returns a row for each call of the mix."""
    return [
        (
            call.name,
            *(f"{count:,}" for count in (call.sent, call.ok.count, call.refused.count, failed(call))),
            milliseconds(call.ok.latency.mean),
            *(milliseconds(call.ok.latency.percentile(percent)) for percent in (50, 99, 99.9)),
        )
        for call in summary.calls
    ]


def headline(summary: Summary) -> dict[str, str]:
    """Returns the figures to look at first, by their labels."""
    total = summary.total
    closed = all(run.header["plan"]["loop"] == "closed" for run in summary.runs)
    return {
        # A closed loop plans no rate: it sends when it has an answer.
        "sent" if closed else "offered": per_second(summary.offered_rate),
        "achieved": per_second(summary.achieved_rate),
        f"goodput (OK within {summary.within_seconds * 1e3:,g} ms)": per_second(summary.goodput_rate),
        **{
            f"p{percent:g} from planned time": f"{milliseconds(total.ok.latency.percentile(percent))} ms"
            for percent in (50, 99, 99.9)
        },
        "errors": _of(failed(total), summary.planned),
        "refused": _of(total.refused.count, summary.planned),
        "dropped (planned, not sent)": _of(summary.dropped, summary.planned),
        "sent late": _of(summary.late, total.sent),
    }


def quality(summary: Summary) -> dict[str, str]:
    """Returns how good the answers were, by label; empty if nothing was asked of them."""
    found, told = summary.quality, {}
    if found.labelled:
        told[f"recall@{found.at}"] = f"{found.recall:.4f}"
        told[f"nDCG@{found.at}"] = f"{found.ndcg:.4f}"
        told["answers with labels"] = f"{found.labelled:,}"
    if found.compared:
        told["answers that differ from those at rest"] = _of(found.different, found.compared)
    if found.different_queries:
        told["the first queries with such answers"] = ", ".join(str(query) for query in found.different_queries)
    return told


def environment(run: Run) -> Iterator[tuple[str, str]]:
    """Yields where and how a run was made: its environment, then its plan."""
    yield "results file", str(run.path)
    for part in ("environment", "plan"):
        for key, value in run.header[part].items():
            yield str(key).replace("_", " ").replace("cpu", "CPU"), plain(value)


def plain(value: Any) -> str:
    """Returns a value of a run's header as people write it."""
    match value:
        case _ if value in (None, "", [], {}):
            return "–"
        case bool():
            return "yes" if value else "no"
        case Mapping():
            return ", ".join(f"{str(key).replace('_', ' ')} {plain(each)}" for key, each in value.items())
        case list():
            return ", ".join(f"({plain(each)})" if isinstance(each, list | dict) else plain(each) for each in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def failed(call: CallSummary) -> int:
    """Returns the number of requests that failed, refused ones aside."""
    return sum(outcome.count for outcome in call.errors)


def milliseconds(seconds: float) -> str:
    """Returns a duration in ms to at least three digits; a dash for NaN."""
    if math.isnan(seconds):
        return "–"
    value = seconds * 1e3
    digits = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3
    return f"{value:,.{digits}f}"


def per_second(rate: float) -> str:
    """Returns a rate with its unit."""
    return f"{rate:,.1f} /s" if rate < 1000 else f"{rate:,.0f} /s"


def _row(name: str, latencies: Latencies) -> Row:
    percentiles = (latencies.percentile(percent) for percent in (*PERCENTS, 100))
    return (
        name,
        f"{latencies.count:,}",
        milliseconds(latencies.mean),
        *(milliseconds(percentile) for percentile in percentiles),
    )


def _of(count: int, total: int) -> str:
    return f"{count:,} ({count / total:.2%})" if count else "0"
