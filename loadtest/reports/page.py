"""HTML pages of one run and of several side by side: one file each, which uses no network."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape

from loadtest.analysis.objective import Verdict
from loadtest.analysis.summary import Summary
from loadtest.reports import charts, health_charts
from loadtest.reports.cells import milliseconds, per_second
from loadtest.reports.elements import banner, chart_section, figures_section, note, page, table_section
from loadtest.reports.table import Table
from loadtest.reports.tables import headline, tables
from loadtest.reports.title import title_of
from loadtest.reports.verdict import closing, notes, verdict, verdict_kind

COMPARISON_COLUMNS = (
    "run", "generator", "offered", "achieved", "p50 ms", "p99 ms", "p99.9 ms", "errors", "refused", "dropped",
)  # fmt: skip


def report_page(summary: Summary, verdicts: Sequence[Verdict] = ()) -> str:
    """Returns a page about one summary and its assertions."""
    title = title_of(summary.runs)
    parts = [banner(verdict_kind(summary), verdict(summary))]
    if last := closing(summary, verdicts):
        parts.append(banner("bad", last))
    parts.append(f"<h1>{escape(title)}</h1>")
    parts += [note(text) for text in notes(summary)]
    parts.append(figures_section(headline(summary)))
    parts += [table_section(table) for table in tables(summary, verdicts)[:-1]]
    parts += _charts(summary)
    parts += [table_section(table) for table in tables(summary, verdicts)[-1:]]
    return page(title, parts)


def comparison_page(summaries: Mapping[str, Summary]) -> str:
    """Returns a page that overlays summaries; their names are untrusted text."""
    title = "Comparison: " + title_of([run for summary in summaries.values() for run in summary.runs])
    parts = [
        banner(verdict_kind(summary), f"{name}: {verdict(summary)}")
        for name, summary in summaries.items()
        if summary.generator.saturated or not summary.generator.processes
    ]
    parts.append(f"<h1>{escape(title)}</h1>")
    parts += [note(f"{name}: {text}") for name, summary in summaries.items() for text in notes(summary)]
    compared = [_comparison_row(name, summary) for name, summary in summaries.items()]
    parts.append(table_section(Table("Comparison, latencies from the planned time", COMPARISON_COLUMNS, compared)))
    shown = {name: summary for name, summary in summaries.items() if summary.total.ok.count}
    if shown:
        parts += [
            chart_section("99th percentile over time", charts.compared_latency(shown), _PLANNED_FOR),
            chart_section("Latency by percentile", charts.compared_percentiles(shown), _PERCENTILES),
            chart_section("Throughput over time", charts.compared_throughput(shown)),
        ]
    return page(title, parts)


_PLANNED_FOR = "Successes, by the second for which they were planned."
_PERCENTILES = "Each step to the right is ten times as close to 100\N{NO-BREAK SPACE}%."


def _charts(summary: Summary) -> Iterator[str]:
    """Yields a chart for each kind of data that the summary has."""
    timeline = summary.timeline
    if summary.total.ok.count:
        yield chart_section("Latency over time", charts.latency_over_time(timeline), _PLANNED_FOR)
        yield chart_section("Latency by percentile", charts.percentile_curves(summary.total), _PERCENTILES)
        yield chart_section("Distribution of latencies", charts.latency_histogram(timeline), "Successes only.")
    if summary.total.sent:
        yield chart_section("Throughput over time", charts.throughput_over_time(timeline))
        yield chart_section("Outcomes over time", charts.outcomes_over_time(timeline), "By gRPC code.")
    if timeline.staged.any():
        yield chart_section(
            "Where the time goes",
            charts.stages_over_time(timeline),
            "Means over the successes of each second. Rare peaks are cut off; double-click to show them.",
        )
    if summary.generator.processes:
        caption = f"The busiest processes, at most {health_charts.MOST_PROCESSES}. Dashed: the limit of saturation."
        yield chart_section("The generator itself", health_charts.vitals_over_time(summary.runs), caption)
    for number, run in enumerate(summary.runs, start=1):
        if health_charts.has_server_panels(run.metrics):
            heading = "The server's metrics" + (f" in run {number}" if len(summary.runs) > 1 else "")
            yield chart_section(heading, health_charts.server_over_time(run.metrics))


def _comparison_row(name: str, summary: Summary) -> tuple[str, ...]:
    latency, generator = summary.total.ok.latency, summary.generator
    return (
        name,
        "saturated" if generator.saturated else "kept to its plan" if generator.processes else "not known",
        per_second(summary.offered_rate),
        per_second(summary.achieved_rate),
        *(milliseconds(latency.percentile(percent)) for percent in (50, 99, 99.9)),
        *(f"{count:,}" for count in (summary.total.failed, summary.total.refused.count, summary.dropped)),
    )
