"""HTML pages of one run and of several side by side: one file each, which asks the network for nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from html import escape
from pathlib import Path

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from loadtest.analysis.summary import Summary
from loadtest.reports import charts, machines, rows

# A browser that is told so cannot fetch anything, whatever the library would like.
POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"

FOLDER = Path(__file__).parent
COMPARISON_COLUMNS = (
    "run", "generator", "offered", "achieved", "p50 ms", "p99 ms", "p99.9 ms", "errors", "refused", "dropped",
)  # fmt: skip


def report_page(summary: Summary, *, title: str) -> str:
    """Returns a page about one summary.

    Args:
        summary: What to show.
        title: The page's title; may come from outside.
    """
    parts = [_verdict(summary), f"<h1>{escape(title)}</h1>", *_notes(summary), _figures(rows.headline(summary))]
    parts.append(_section("Latency", _table(rows.LATENCY_COLUMNS, rows.latency_rows(summary.total))))
    if summary.total.server.count:
        table = _table(rows.LATENCY_COLUMNS, rows.stage_rows(summary.total))
        parts.append(_section("Stages of the server", table, _stages_caption(summary)))
    if len(summary.calls) > 1:
        parts.append(_section("Calls", _table(rows.CALL_COLUMNS, rows.call_rows(summary)), "From the planned time."))
    if quality := rows.quality(summary):
        parts.append(_section("Quality of the answers", _figures(quality)))
    parts += _charts(summary)
    parts += [
        _section("Environment" if len(summary.runs) == 1 else f"Environment of run {number}", _pairs(pairs))
        for number, pairs in enumerate(map(rows.environment, summary.runs), start=1)
    ]
    return _page(title, parts)


def comparison_page(summaries: Mapping[str, Summary], *, title: str) -> str:
    """Returns a page that lays summaries one over the other.

    Args:
        summaries: What to show, by names that may come from outside.
        title: The page's title; may come from outside.
    """
    parts = [_verdicts(summaries), f"<h1>{escape(title)}</h1>"]
    parts += [
        _note(f"{name} is partial: {reason}") for name, summary in summaries.items() for reason in summary.partial
    ]
    compared = [_comparison_row(name, summary) for name, summary in summaries.items()]
    parts.append(_section("Side by side", _table(COMPARISON_COLUMNS, compared), "Latencies from the planned time."))
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


def _verdict(summary: Summary) -> str:
    generator = summary.generator
    if generator.saturated:
        return _banner("bad", "The generator was saturated", f"{'; '.join(generator.reasons)}. {_SATURATED}")
    if not generator.processes:
        return _banner("unsure", "Not known whether the generator was saturated", "It reported nothing of itself.")
    return _banner(
        "good",
        "The generator was not saturated",
        f"{generator.late_share:.2%} of sends were late, its busiest process took {generator.busiest_share:.0%} of "
        f"a core, and its event loop was held up for {generator.longest_lag_seconds * 1e3:.0f} ms at worst.",
    )


_SATURATED = "The figures say what it can do, not what the server can."


def _verdicts(summaries: Mapping[str, Summary]) -> str:
    saturated = [name for name, summary in summaries.items() if summary.generator.saturated]
    if saturated:
        return _banner("bad", "The generator was saturated", f"In {', '.join(saturated)}. {_SATURATED}")
    unknown = [name for name, summary in summaries.items() if not summary.generator.processes]
    if unknown:
        said = f"It reported nothing of itself in {', '.join(unknown)}."
        return _banner("unsure", "Not known whether the generator was saturated", said)
    return _banner("good", "The generator was not saturated", "In none of the runs.")


def _notes(summary: Summary) -> Iterator[str]:
    for reason in summary.partial:
        yield _note(f"Partial: {reason}")
    if not summary.total.ok.count:
        yield _note("Not one request succeeded: there are no latencies.")
    if any(run.header["plan"]["loop"] == "closed" for run in summary.runs):
        yield _note(
            "Closed loop: a call is sent when another is answered, so that waits of calls that a slow answer held "
            "up are in no latency."
        )


def _stages_caption(summary: Summary) -> str:
    total = summary.total
    caption = "Service time of the successes, by what the server says of itself; the rest is network and client."
    if total.batch_texts:
        caption += f" Their texts were encoded in batches of {total.batch_texts / total.server.count:,.1f} on average."
    return caption


def _comparison_row(name: str, summary: Summary) -> rows.Row:
    latency = summary.total.ok.latency
    return (
        name,
        "saturated" if summary.generator.saturated else "not saturated" if summary.generator.processes else "not known",
        rows.per_second(summary.offered_rate),
        rows.per_second(summary.achieved_rate),
        *(rows.milliseconds(latency.percentile(percent)) for percent in (50, 99, 99.9)),
        *(f"{count:,}" for count in (rows.failed(summary.total), summary.total.refused.count, summary.dropped)),
    )


def _banner(kind: str, verdict: str, why: str) -> str:
    return f'<p class="verdict {kind}" role="status"><strong>{escape(verdict)}</strong>{escape(why)}</p>'


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


def _pairs(pairs: Iterable[tuple[str, str]]) -> str:
    items = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in pairs)
    return f'<dl class="environment">{items}</dl>'


def _table(columns: rows.Row, table: Iterable[rows.Row]) -> str:
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in columns)
    body = "".join(
        f'<tr><th scope="row">{escape(first)}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in rest)}</tr>'
        for first, *rest in table
    )
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


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
