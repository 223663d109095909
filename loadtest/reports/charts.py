"""Charts of results; each function draws one.

Charts of one run take parts of its `Summary`; charts of several runs take their summaries by name.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go

from loadtest.analysis import bins
from loadtest.analysis.calls import CallSummary
from loadtest.analysis.latency import Latencies
from loadtest.analysis.summary import Summary
from loadtest.analysis.timeline import Timeline
from loadtest.codes import OK, OUTCOMES, REFUSED
from loadtest.reports.groups import Groups
from loadtest.reports.style import (
    BLUE,
    COLOURS,
    GREEN,
    GREY,
    OLIVE,
    ORANGE,
    PINK,
    RED,
    TEAL,
    VIOLET,
    bars,
    figure,
    fit_log_y,
    fit_time,
    line,
    log_ticks,
)
from loadtest.stages import STAGES

HISTOGRAM_STEPS = 100
CUT_OFF = 2
"""Upper end of the chart of stages, relative to the 95th percentile of its seconds."""

SECONDS = "time from the start (s)"
LATENCY = "latency (ms)"
BEYOND_SERVER = "network + client"


def latency_over_time(timeline: Timeline) -> go.Figure:
    """Draws percentiles of each second's successes in ms, by planned second."""
    chart = figure(x=SECONDS, y=LATENCY, log_y=True)
    groups = Groups.planned(timeline)
    planned = bins.percentiles(groups.sums(timeline.latency), [50, 99, 99.9]) * 1e3
    service = bins.percentiles(groups.sums(timeline.service), [50, 99]) * 1e3
    for column, (percent, colour) in enumerate(((50, BLUE), (99, ORANGE), (99.9, RED))):
        groups.steps(chart, planned[:, column], f"p{percent:g} from planned time", colour)
    for column, (percent, colour) in enumerate(((50, BLUE), (99, ORANGE))):
        groups.steps(chart, service[:, column], f"p{percent:g} service time", colour, dash="dot")
    fit_log_y(chart)
    return chart


def percentile_curves(call: CallSummary) -> go.Figure:
    """Draws latency in ms by percentile: latency and service time of successes, and refused calls."""
    lines = {
        "from planned time": (call.ok.latency, BLUE, "solid"),
        "service time": (call.ok.service, BLUE, "dot"),
        "refused, from planned time": (call.refused.latency, ORANGE, "solid"),
    }
    return _percentile_curves(lines)


def latency_histogram(timeline: Timeline) -> go.Figure:
    """Draws the distribution of the successes' latencies in ms, in bins of equal ratio."""
    chart = figure(x=LATENCY, y="requests", log_x=True)
    planned, service = timeline.latency.sum(axis=0), timeline.service.sum(axis=0)
    used = np.flatnonzero(planned + service)
    step = max(1, math.ceil((used[-1] - used[0] + 1) / HISTOGRAM_STEPS))
    # An empty bin at each end, so that the outline begins and ends at 0.
    first = np.arange(max(0, used[0] - step), used[-1] + 2 * step, step)
    edges_ms = bins.SHORTEST_NS * np.exp(first * bins.WIDTH) / 1e6
    chart.update_xaxes(log_ticks(edges_ms[0], edges_ms[-1]))
    for counts, name, colour, dash in (
        (planned, "from planned time", BLUE, "solid"),
        (service, "service time", TEAL, "dot"),
    ):
        padded = np.concatenate([counts, np.zeros(2 * step + len(first), dtype=counts.dtype)])
        heights = np.add.reduceat(padded, first)
        heights[-1] = 0
        outline: dict[str, Any] = {"fill": "tozeroy"} if dash == "solid" else {}
        line(chart, edges_ms, heights, name, colour, dash=dash, mode="lines", line={"shape": "hv"}, **outline)
    return chart


def throughput_over_time(timeline: Timeline) -> go.Figure:
    """Draws requests a second: those planned for each second and sent, and those answered OK in that second."""
    chart = figure(x=SECONDS, y="requests a second")
    planned, ended = Groups.planned(timeline), Groups.ended(timeline)
    planned.steps(chart, planned.rates(timeline.planned + timeline.dropped), "planned", GREY, dash="dash")
    ended.steps(chart, ended.rates(timeline.answered), "answered OK", GREEN)
    return chart


def outcomes_over_time(timeline: Timeline) -> go.Figure:
    """Draws requests a second, stacked by gRPC code, by planned second."""
    chart = figure(x=SECONDS, y="requests a second")
    groups = Groups.planned(timeline)
    rates = groups.rates(timeline.codes)
    others = (RED, VIOLET, PINK, OLIVE, TEAL, BLUE)
    seen = [code for code in range(len(OUTCOMES)) if timeline.codes[:, code].any()]
    failed = [code for code in seen if code not in (OK, REFUSED)]
    colours = {OK: GREEN, REFUSED: ORANGE} | {code: others[rank % len(others)] for rank, code in enumerate(failed)}
    for code in seen:
        bars(chart, groups.starts, rates[:, code], OUTCOMES[code], colours[code], widths=groups.widths)
    fit_time(chart, groups.edges[-1])
    return chart


def stages_over_time(timeline: Timeline) -> go.Figure:
    """Draws the mean time of a success in ms, stacked: the server's stages, and the rest of its service time.

    The rest is drawn only where every success reports its stages: otherwise the two cover different requests.
    Rare peaks are cut off, so that one stall does not flatten all other seconds.
    """
    chart = figure(x=SECONDS, y="mean time of a request (ms)")
    groups = Groups.planned(timeline)
    staged = groups.sums(timeline.staged)
    of_one = 1e3 / np.where(staged > 0, staged, np.nan)
    stages = groups.sums(timeline.stage_sums) * of_one[:, None]
    for column, stage in enumerate(STAGES):
        bars(chart, groups.starts, stages[:, column], stage, COLOURS[column], widths=groups.widths)
    middles = bins.SHORTEST_NS * np.exp((np.arange(bins.COUNT) + 0.5) * bins.WIDTH) / 1e9
    service = groups.sums(timeline.service) @ middles * of_one
    rest = np.where(staged == groups.sums(timeline.codes[:, OK]), np.maximum(0.0, service - stages.sum(axis=1)), np.nan)
    if not np.isnan(rest).all():
        bars(chart, groups.starts, rest, BEYOND_SERVER, GREY, widths=groups.widths)
    fit_time(chart, groups.edges[-1])
    totals = stages.sum(axis=1) + np.nan_to_num(rest)
    top = CUT_OFF * float(np.nanpercentile(totals, 95))
    if np.nanmax(totals) > top:
        chart.update_yaxes(range=[0, top])
    return chart


def compared_latency(summaries: Mapping[str, Summary]) -> go.Figure:
    """Draws the 99th percentile of each second's latencies from the planned time in ms, a line for each run."""
    chart = figure(x=SECONDS, y=f"p99 {LATENCY}", log_y=True)
    for name, summary, colour in _coloured(summaries):
        groups = Groups.planned(summary.timeline)
        p99 = bins.percentiles(groups.sums(summary.timeline.latency), [99])[:, 0] * 1e3
        groups.steps(chart, p99, name, colour)
    fit_log_y(chart)
    return chart


def compared_percentiles(summaries: Mapping[str, Summary]) -> go.Figure:
    """Draws latency from the planned time in ms by percentile, a line for each run."""
    lines = {name: (summary.total.ok.latency, colour, "solid") for name, summary, colour in _coloured(summaries)}
    return _percentile_curves(lines)


def compared_throughput(summaries: Mapping[str, Summary]) -> go.Figure:
    """Draws the successful answers of each second, a line for each run."""
    chart = figure(x=SECONDS, y="answers OK a second")
    for name, summary, colour in _coloured(summaries):
        groups = Groups.ended(summary.timeline)
        groups.steps(chart, groups.rates(summary.timeline.answered), name, colour)
    return chart


def _percentile_curves(lines: Mapping[str, tuple[Latencies, str, str]]) -> go.Figure:
    """Draws distributions by name, each with its colour and its line's pattern."""
    chart = figure(x="percentile", y=LATENCY, log_x=True, log_y=True)
    farthest = 10.0
    for name, (latencies, colour, dash) in lines.items():
        if not latencies.count:
            continue
        points = [(percent, seconds) for percent, seconds, _ in latencies.spectrum() if percent < 100]
        # The longest of n durations is drawn at 1 - 1/n, because 100 % is infinitely far on this axis.
        end = max([float(latencies.count), *(1 / (1 - percent / 100) for percent, _ in points)])
        x = [1 / (1 - percent / 100) for percent, _ in points] + [end]
        y = [seconds * 1e3 for _, seconds in points] + [latencies.percentile(100) * 1e3]
        said = [f"{percent:.6g} %" for percent, _ in points] + ["longest"]
        line(
            chart, x, y, name, colour, dash=dash, mode="lines",
            customdata=said, hovertemplate="%{customdata}: %{y:,.4~r} ms",
        )  # fmt: skip
        farthest = max(farthest, end)
    decades = range(math.ceil(math.log10(farthest)) + 1)
    chart.update_xaxes(
        tickvals=[10**decade for decade in decades],
        ticktext=["0 %", "90 %", *(f"99{'.' if nines else ''}{'9' * nines} %" for nines in range(len(decades) - 2))],
        range=[0, math.log10(farthest) + 0.02],
        showspikes=False,
    )
    chart.update_layout(hovermode="closest")
    fit_log_y(chart)
    return chart


def _coloured(summaries: Mapping[str, Summary]) -> Iterator[tuple[str, Summary, str]]:
    """Yields name, summary and colour of each run."""
    for (name, summary), colour in zip(summaries.items(), itertools.cycle(COLOURS), strict=False):
        yield name, summary, colour
