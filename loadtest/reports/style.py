"""The style of charts: one palette, and figures with a transparent background."""

import html
import math
from collections.abc import Sequence
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


def bars(chart: go.Figure, x: Any, y: Any, name: str, colour: str, *, width: float) -> None:
    """Stacks bars on the existing ones; each begins at `x` and is `width` wide."""
    chart.add_bar(x=x, y=y, name=label(name), width=width, offset=0, marker={"color": colour, "line": {"width": 0}})
    chart.update_layout(barmode="stack", bargap=0)


def log_ticks(lowest: float, highest: float, *, most_decades: int) -> dict[str, Any]:
    """Returns the ticks of a logarithmic axis: 1, 2, 5, 10 …, or powers of ten alone beyond `most_decades`."""
    decades = math.log10(highest / lowest) if lowest > 0 else 0.0
    # `,~r` shows 2,000 and 0.5; by default a logarithmic axis would show 2 and 5.
    return {"dtick": 1 if decades > most_decades else "D2", "tickformat": ",~r"}


def fit_log_y(chart: go.Figure) -> None:
    """Sets the ticks of a logarithmic y axis to suit the lines drawn so far."""
    values = np.concatenate([np.asarray(each.y, dtype=np.float64) for each in chart.data] or [np.ones(1)])
    known = values[values > 0]
    if len(known):
        chart.update_yaxes(log_ticks(known.min(), known.max(), most_decades=3))


def label(text: str) -> str:
    """Returns text for a chart's label, with the tags escaped that plotly would interpret."""
    return html.escape(text, quote=False)


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
