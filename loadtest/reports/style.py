"""The style of charts: one palette, and figures with a transparent background."""

import html
import math
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

BLUE, ORANGE, GREEN, RED, VIOLET = "#3b7dd8", "#d9730d", "#2a9d63", "#d9363e", "#8e62d0"
TEAL, PINK, GREY, OLIVE = "#1a9aa8", "#c9539c", "#8a8f98", "#9a8a1f"
COLOURS = (BLUE, ORANGE, GREEN, RED, VIOLET, TEAL, PINK, GREY, OLIVE)
"""Colours with contrast to both white and black."""

GRID = "rgba(128, 128, 128, 0.25)"
TEXT = "#808080"
"""The page's style sheet replaces it with its text colour."""

LEAST_TICKS, MOST_TICKS = 3, 9

LABEL_CHARACTERS = 44
"""Most characters in a line of a legend: a phone is not wider, and plotly does not wrap."""

HEIGHT = 340
PANEL_HEIGHT = 170


def figure(*, x: str, y: str, log_x: bool = False, log_y: bool = False) -> go.Figure:
    """Returns an empty figure. Titles include the unit; a linear y axis begins at 0."""
    chart = go.Figure()
    _lay_out(chart, HEIGHT)
    chart.update_xaxes(title_text=x, type="log" if log_x else "linear")
    chart.update_yaxes(title_text=y, **_scale(log=log_y))
    return chart


def panels(titles: Sequence[str], units: Sequence[str], *, x: str) -> go.Figure:
    """Returns stacked panels with a common x axis; each y axis has its unit and begins at 0."""
    height = PANEL_HEIGHT * len(titles) + 60
    gap = 52 / height
    chart = make_subplots(rows=len(titles), shared_xaxes=True, vertical_spacing=gap, subplot_titles=list(titles))
    _lay_out(chart, height)
    chart.update_annotations(font={"size": 13, "color": TEXT}, x=0, xanchor="left")
    # The legend leaves room for the first panel's title.
    chart.update_layout(margin={"t": 30}, legend={"y": 1 + 26 / (height - 90)})
    for row, unit in enumerate(units, start=1):
        chart.update_yaxes(title_text=unit, row=row, **_scale(log=False))
    chart.update_xaxes(title_text=x, row=len(titles))
    return chart


def line(chart: go.Figure, x: Any, y: Any, name: str, colour: str, **options: Any) -> None:
    """Adds a line through points; a NaN interrupts it.

    `name` is untrusted text. `dash` is the line's pattern; other options are those of `plotly.graph_objects.Scatter`.
    """
    dash = options.pop("dash", "solid")
    # A single point, or one between two gaps, is invisible without a marker.
    mode = "lines" if len(x) > 30 else "lines+markers"
    chart.add_scatter(
        x=x,
        y=y,
        name=label(name),
        mode=options.pop("mode", mode),
        marker={"size": 4},
        line={"color": colour, "width": 1.8, "dash": dash, **options.pop("line", {})},
        **options,
    )


def bars(chart: go.Figure, x: Any, y: Any, name: str, colour: str, *, widths: Any) -> None:
    """Stacks bars on the existing ones; each begins at its `x` and has its width."""
    chart.add_bar(x=x, y=y, name=label(name), width=widths, offset=0, marker={"color": colour, "line": {"width": 0}})
    chart.update_layout(barmode="stack", bargap=0)


def fit_time(chart: go.Figure, end: float) -> None:
    """Makes the time axis end where the longest run drawn so far ends, in seconds."""
    shown = chart.layout.xaxis.range
    chart.update_xaxes(range=[0, max(end, shown[1] if shown else 0.0)])


def log_ticks(lowest: float, highest: float) -> dict[str, Any]:
    """Returns range and ticks of a logarithmic axis: round numbers, at least three of them, and at most nine."""
    lowest = min(max(lowest, highest / 1e12), highest)
    padding = max(1.1, (highest / lowest) ** 0.04)
    low, high = lowest / padding, highest * padding
    inside = ([tick for tick in ticks if low <= tick <= high] for ticks in _tick_choices(low, high))
    ticks = next(found for found in inside if len(found) >= LEAST_TICKS)
    return {
        "range": [math.log10(low), math.log10(high)],
        "tickvals": ticks,
        "ticktext": [f"{tick:,.10g}" for tick in ticks],
    }


def _tick_choices(low: float, high: float) -> Iterator[list[float]]:
    """Yields lists of round numbers around a range, each list denser than the one before."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    every = math.ceil(len(decades) / MOST_TICKS)
    yield [10.0**decade for decade in decades if decade % every == 0]
    for digits in ((1, 3), (1, 2, 5)):
        yield [digit * 10.0**decade for decade in decades for digit in digits]
    exponent = math.floor(math.log10(high - low))
    for step in (digit * 10.0**power for power in (exponent, exponent - 1) for digit in (5, 2, 1)):
        yield [step * count for count in range(math.ceil(low / step), math.floor(high / step) + 1)]


def fit_log_y(chart: go.Figure) -> None:
    """Sets range and ticks of a logarithmic y axis to suit the lines drawn so far."""
    values = np.concatenate([np.asarray(each.y, dtype=np.float64) for each in chart.data] or [np.ones(1)])
    known = values[values > 0]
    if len(known):
        chart.update_yaxes(log_ticks(known.min(), known.max()))


def label(text: str) -> str:
    """Returns text for a chart's label: in short lines, with the tags escaped that plotly would interpret."""
    return "<br>".join(html.escape(each, quote=False) for each in textwrap.wrap(text, LABEL_CHARACTERS))


def _lay_out(chart: go.Figure, height: int) -> None:
    chart.update_layout(
        template=go.layout.Template(),
        height=height,
        margin={"l": 10, "r": 16, "t": 10, "b": 10},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "system-ui, sans-serif", "size": 12, "color": TEXT},
        hovermode="x unified",
        hoverlabel={"bgcolor": "#22262c", "bordercolor": "#22262c", "font": {"color": "#f0f0f0"}},
        legend={"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "bgcolor": "rgba(0,0,0,0)"},
        legend_traceorder="normal",
        showlegend=True,
    )
    lines = {"gridcolor": GRID, "zerolinecolor": GRID, "linecolor": GRID, "automargin": True}
    chart.update_xaxes(hoverformat=",~r", **lines)
    chart.update_yaxes(**lines)


def _scale(*, log: bool) -> dict[str, Any]:
    return {"type": "log"} if log else {"rangemode": "tozero", "tickformat": ",~r"}
