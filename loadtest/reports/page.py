"""HTML pages of one run and of several side by side: one file each, which asks the network for nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from pathlib import Path

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from loadtest.analysis.objective import Verdict
from loadtest.analysis.summary import Summary
from loadtest.reports import charts, machines
from loadtest.reports.tables import (
    Table,
    failed,
    headline,
    milliseconds,
    notes,
    per_second,
    tables,
    verdict,
    verdict_kind,
)

# A browser that is told so cannot fetch anything, whatever the library would like.
POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"

FOLDER = Path(__file__).parent
COMPARISON_COLUMNS = (
    "run", "generator", "offered", "achieved", "p50 ms", "p99 ms", "p99.9 ms", "errors", "refused", "dropped",
)  # fmt: skip


def report_page(summary: Summary, verdicts: Sequence[Verdict] = (), *, title: str) -> str:
    """Returns a page about one summary.

    Args:
        summary: What to show.
        verdicts: What became of the assertions.
        title: The page's title; may come from outside.
    """
    parts = [_banner(verdict_kind(summary), verdict(summary)), f"<h1>{escape(title)}</h1>"]
    parts += [_note(note) for note in notes(summary)]
    parts.append(_figures(headline(summary)))
    parts += [_table(table) for table in tables(summary, verdicts)[:-1]]
    parts += _charts(summary)
    parts += [_table(table) for table in tables(summary, verdicts)[-1:]]
    return _page(title, parts)


def comparison_page(summaries: Mapping[str, Summary], *, title: str) -> str:
    """Returns a page that lays summaries one over the other.

    Args:
        summaries: What to show, by names that may come from outside.
        title: The page's title; may come from outside.
    """
    parts = [
        _banner(verdict_kind(summary), f"{name}: {verdict(summary)}")
        for name, summary in summaries.items()
        if verdict_kind(summary) != "good"
    ]
    parts.append(f"<h1>{escape(title)}</h1>")
    parts += [_note(f"{name}: {note}") for name, summary in summaries.items() for note in notes(summary)]
    compared = [_comparison_row(name, summary) for name, summary in summaries.items()]
    parts.append(_table(Table("Side by side, latencies from the planned time", COMPARISON_COLUMNS, compared)))
    shown = {name: summary for name, summary in summaries.items() if summary.total.ok.count}
    if shown:
        parts += [
            _chart("99th percentile over time", charts.compared_latency(shown), _PLANNED_FOR),
            _chart("Latency by percentile", charts.compared_percentiles(shown), _PERCENTILES),
            _chart("Throughput over time", charts.compared_throughput(shown)),
        ]
    return _page(title, parts)


_PLANNED_FOR = "Of the successes, by the second that they were planned for."
_PERCENTILES = "Each step to the right is ten times as close to 100\N{NO-BREAK SPACE}%."


def _charts(summary: Summary) -> Iterator[str]:
    """Yields a chart of everything that there is something of."""
    timeline = summary.timeline
    if summary.total.ok.count:
        yield _chart("Latency over time", charts.latency_over_time(timeline), _PLANNED_FOR)
        yield _chart("Latency by percentile", charts.percentile_curves(summary.total), _PERCENTILES)
        yield _chart("Distribution of latencies", charts.latency_histogram(timeline), "Of the successes.")
    if summary.total.sent:
        yield _chart("Throughput over time", charts.throughput_over_time(timeline))
        yield _chart("Outcomes over time", charts.outcomes_over_time(timeline), "By gRPC code.")
    if timeline.staged.any():
        yield _chart(
            "Where the time goes",
            charts.stages_over_time(timeline),
            "Means of the successes of each second. Rare peaks are cut off; a double click shows them.",
        )
    if summary.generator.processes:
        caption = f"The busiest processes, {machines.MOST_PROCESSES} at most; dashed: from where on one is too slow."
        yield _chart("The generator itself", machines.vitals_over_time(summary.runs), caption)
    for number, run in enumerate(summary.runs, start=1):
        if machines.tells_of_server(run.metrics):
            heading = "The server's metrics" + (f" in run {number}" if len(summary.runs) > 1 else "")
            yield _chart(heading, machines.server_over_time(run.metrics))


def _comparison_row(name: str, summary: Summary) -> tuple[str, ...]:
    latency = summary.total.ok.latency
    return (
        name,
        {"bad": "saturated", "unsure": "not sure", "good": "kept to its plan"}[verdict_kind(summary)],
        per_second(summary.offered_rate),
        per_second(summary.achieved_rate),
        *(milliseconds(latency.percentile(percent)) for percent in (50, 99, 99.9)),
        *(f"{count:,}" for count in (failed(summary.total), summary.total.refused.count, summary.dropped)),
    )


def _banner(kind: str, said: str) -> str:
    return f'<p class="verdict {kind}" role="status"><strong>{escape(said)}</strong></p>'


def _note(text: str) -> str:
    return f'<p class="note">{escape(text)}</p>'


def _section(heading: str, content: str, caption: str = "") -> str:
    said = f'<p class="soft">{escape(caption)}</p>' if caption else ""
    return f"<section><h2>{escape(heading)}</h2>{said}{content}</section>"


def _chart(heading: str, chart: go.Figure, caption: str = "") -> str:
    # plotly's JSON has no `<`, so that nothing in it ends the element.
    data = f'<script type="application/json">{chart.to_json()}</script>'
    return _section(heading, f'<div class="chart" style="height: {chart.layout.height}px"></div>{data}', caption)


def _figures(figures: Mapping[str, str]) -> str:
    items = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in figures.items())
    return f'<dl class="figures">{items}</dl>'


def _table(table: Table) -> str:
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in table.columns)
    headed = f"<thead><tr>{head}</tr></thead>" if any(table.columns) else ""
    body = "".join(
        f'<tr><th scope="row">{escape(first)}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in rest)}</tr>'
        for first, *rest in table.rows
    )
    kind = "wide" if any(table.columns) else "wide prose"
    return _section(table.title, f'<div class="{kind}"><table>{headed}<tbody>{body}</tbody></table></div>')


def _page(title: str, parts: Iterable[str]) -> str:
    style, script = ((FOLDER / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    body = "\n".join(parts)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>
{style}</style>
</head>
<body>
{body}
<script>{get_plotlyjs()}</script>
<script>
{script}</script>
</body>
</html>
"""
