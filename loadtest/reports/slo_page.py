"""The result of a search for the highest rate as an HTML page."""

import math
import statistics
from collections.abc import Sequence
from html import escape

import plotly.graph_objects as go

from loadtest.analysis.objective import Objective
from loadtest.reports.elements import banner, chart_section, note, page, soft, table_section
from loadtest.reports.slo import answer_notes, trials_table
from loadtest.reports.style import BLUE, GREEN, GREY, ORANGE, RED, figure, fit_log_y, line
from loadtest.reports.title import title_of
from loadtest.slo import Answer
from loadtest.trial import Trial

_MARKS = "Each mark is a trial; the lines join the medians of each rate."


def answer_page(answer: Answer, objectives: Sequence[Objective]) -> str:
    """Returns the answer as a page: the curve over the rates, and a table of the trials."""
    trials = sorted(answer.trials, key=lambda trial: trial.rate)
    title = "The highest rate that meets " + " and ".join(objective.text for objective in objectives)
    runs = [run for trial in answer.trials for run in trial.summary.runs]
    parts = [
        banner("good" if answer.sure else "unsure", answer.line()),
        f"<h1>{escape(title)}</h1>",
        *([soft(title_of(runs))] if runs else []),
        *(note(text) for text in answer_notes(answer)),
        chart_section("Latency by rate", _latency_chart(trials), f"From the planned time. {_MARKS}"),
        chart_section("Throughput by rate", _throughput_chart(trials), _MARKS),
        table_section(trials_table(answer)),
    ]
    return page(title, parts)


def _latency_chart(trials: Sequence[Trial]) -> go.Figure:
    chart = figure(x="requests a second, offered", y="latency (ms)", log_y=True)
    for percent, colour in ((50, BLUE), (99, ORANGE), (99.9, RED)):
        values = [trial.summary.total.ok.latency.percentile(percent) * 1e3 for trial in trials]
        _add_trials(chart, trials, values, f"p{percent:g}", colour)
    fit_log_y(chart)
    return chart


def _throughput_chart(trials: Sequence[Trial]) -> go.Figure:
    chart = figure(x="requests a second, offered", y="requests a second")
    rates = [trial.rate for trial in trials]
    line(chart, rates, rates, "offered", GREY, dash="dash")
    _add_trials(chart, trials, [trial.summary.achieved_rate for trial in trials], "answered OK", GREEN)
    return chart


def _add_trials(chart: go.Figure, trials: Sequence[Trial], values: Sequence[float], name: str, colour: str) -> None:
    """Adds a mark for the value of each trial, and a line through the medians of the trials at one rate."""
    at_rate: dict[float, list[float]] = {}
    for trial, value in zip(trials, values, strict=True):
        if not math.isnan(value):
            at_rate.setdefault(trial.rate, []).append(value)
    medians = [statistics.median(found) for found in at_rate.values()]
    line(chart, list(at_rate), medians, name, colour, mode="lines", hoverinfo="skip")
    rates = [trial.rate for trial in trials]
    line(chart, rates, values, name, colour, mode="markers", showlegend=False)
