"""What a search for the highest rate found: its curve as a table, JSON and a page."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import plotly.graph_objects as go

from loadtest.analysis.objective import Objective
from loadtest.reports.elements import banner, chart_section, page, table_section
from loadtest.reports.style import BLUE, GREEN, GREY, ORANGE, RED, figure, fit_log_y, line
from loadtest.reports.tables import Table, milliseconds
from loadtest.slo import Answer, Trial

COLUMNS = ("rate", "offered", "achieved", "p50 ms", "p99 ms", "errors", "windows", "verdict")


def trials_table(answer: Answer) -> Table:
    """Returns the trials in the order of their rates."""
    ordered = sorted(answer.trials, key=lambda trial: trial.rate)
    return Table("Trials", COLUMNS, [trial_cells(trial) for trial in ordered])


def trial_cells(trial: Trial) -> tuple[str, ...]:
    """Returns a trial's cells of `COLUMNS`."""
    summary = trial.summary
    latency = summary.total.ok.latency
    verdict = "met" if trial.met else "; ".join(trial.troubles)
    if trial.limited:
        verdict = f"GENERATOR SATURATED: {'; '.join(summary.generator.reasons)}"
    return (
        f"{trial.rate:,.6g}/s",
        f"{summary.offered_rate:,.1f}/s",
        f"{summary.achieved_rate:,.1f}/s",
        milliseconds(latency.percentile(50)),
        milliseconds(latency.percentile(99)),
        f"{summary.error_share:.2%}",
        f"{trial.windows_met}/{trial.windows}",
        verdict,
    )


def answer_page(answer: Answer, objectives: Sequence[Objective]) -> str:
    """Returns the answer as a page: the curve over the rates, and a table of the trials."""
    title = "The highest rate that meets " + " and ".join(objective.text for objective in objectives)
    parts = [
        banner("unsure" if answer.limited or answer.interrupted or answer.highest is None else "good", answer.line()),
        f"<h1>{escape(title)}</h1>",
        chart_section("Latency by rate", _latency_chart(answer), "From the planned time; a mark is a trial."),
        chart_section("Throughput by rate", _throughput_chart(answer)),
        table_section(trials_table(answer)),
    ]
    return page(title, parts)


def _latency_chart(answer: Answer) -> go.Figure:
    chart = figure(x="requests a second, offered", y="latency (ms)", log_y=True)
    ordered = sorted(answer.trials, key=lambda trial: trial.rate)
    rates = [trial.rate for trial in ordered]
    for percent, colour in ((50, BLUE), (99, ORANGE), (99.9, RED)):
        values = [trial.summary.total.ok.latency.percentile(percent) * 1e3 for trial in ordered]
        line(chart, rates, values, f"p{percent:g}", colour)
    fit_log_y(chart)
    return chart


def _throughput_chart(answer: Answer) -> go.Figure:
    chart = figure(x="requests a second, offered", y="requests a second")
    ordered = sorted(answer.trials, key=lambda trial: trial.rate)
    rates = [trial.rate for trial in ordered]
    line(chart, rates, rates, "offered", GREY, dash="dash")
    line(chart, rates, [trial.summary.achieved_rate for trial in ordered], "answered OK", GREEN)
    return chart


def answer_object(answer: Answer, objectives: Sequence[Objective]) -> dict[str, Any]:
    """Returns the answer as an object for JSON: durations in seconds, shares from 0 to 1."""
    met, trials = answer.confirmed
    return {
        "schema_version": 1,
        "answer": answer.line(),
        "objectives": [objective.text for objective in objectives],
        "highest_rate": answer.highest,
        "failing_rate": answer.failing,
        "limited_by_generator": answer.limited,
        "interrupted": answer.interrupted,
        "confirmed": {"met": met, "trials": trials, "confidence_at_least": answer.confidence},
        "trials": [_trial_object(trial) for trial in answer.trials],
    }


def _trial_object(trial: Trial) -> dict[str, Any]:
    summary = trial.summary
    latency = summary.total.ok.latency
    p50, p99 = (latency.percentile(percent) if latency.count else None for percent in (50, 99))
    return {
        "rate": trial.rate,
        "offered": summary.offered_rate,
        "achieved": summary.achieved_rate,
        "p50_seconds": p50,
        "p99_seconds": p99,
        "error_share": summary.error_share,
        "windows_met": trial.windows_met,
        "windows": trial.windows,
        "met": trial.met,
        "generator_saturated": trial.saturated,
        "troubles": list(trial.troubles),
        "file": str(summary.runs[0].path),
    }
