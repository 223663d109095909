"""Charts of the health of both sides: the generator's vitals, and the server's scraped metrics."""

import itertools
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from loadtest.analysis.saturation import BUSY_SHARE, LAG_SECONDS
from loadtest.reports.charts import SECONDS
from loadtest.reports.groups import MOST_POINTS
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
    fit_time,
    line,
    panels,
)
from loadtest.results.file import Run

MOST_PROCESSES = 6
"""More lines cannot be distinguished, and the busiest processes matter most."""

Points = list[tuple[float, float]]
Scrapes = Sequence[Mapping[str, Any]]


def vitals_over_time(runs: Sequence[Run]) -> go.Figure:
    """Draws each generator process: lag of its event loop in ms, CPU as a share of a core, calls in flight.

    A solid line shows the CPU of the busiest thread; a dotted line that of the whole process.
    """
    chart = panels(
        ("Event loop blocked", "CPU: busiest thread; dotted: whole process", "Calls in flight"),
        ("ms", "share of a core", "calls"),
        x=SECONDS,
    )
    processes: dict[str, list[dict[str, Any]]] = {}
    for number, run in enumerate(runs, start=1):
        for report in run.vitals:
            if report["seconds"] >= report["elapsed_seconds"] > 0:
                name = (f"run {number}, " if len(runs) > 1 else "") + f"process {report['process']}"
                processes.setdefault(name, []).append(report)
    busiest = sorted(processes, key=lambda name: -sum(report["loop_cpu_seconds"] for report in processes[name]))
    for name, colour in zip(sorted(busiest[:MOST_PROCESSES], key=list(processes).index), COLOURS, strict=False):
        of_each: list[tuple[int, str, Callable[[dict[str, Any]], float]]] = [
            (1, "solid", lambda report: report["loop_lag_seconds"] * 1e3),
            (2, "solid", lambda report: report["loop_cpu_seconds"] / report["elapsed_seconds"]),
            (2, "dot", lambda report: report["process_cpu_seconds"] / report["elapsed_seconds"]),
            (3, "solid", lambda report: report["in_flight"]),
        ]
        for row, dash, value in of_each:
            points = [(report["seconds"], value(report)) for report in processes[name]]
            _draw(chart, points, name, colour, row=row, dash=dash, legendgroup=name, showlegend=row == 1)
        fit_time(chart, max(report["seconds"] for report in processes[name]))
    for row, limit in ((1, LAG_SECONDS * 1e3), (2, BUSY_SHARE)):
        chart.add_hline(limit, row=row, col=1, line={"color": GREY, "dash": "dash", "width": 1})
    return chart


def server_over_time(scrapes: Scrapes) -> go.Figure:
    """Draws the server's metrics: gauges as they are, counters as rates per second."""
    drawn = _panels_of(scrapes)
    chart = panels([title for title, _, _ in drawn], [unit for _, unit, _ in drawn], x=SECONDS)
    for row, (_, _, lines) in enumerate(drawn, start=1):
        others = iter(OTHER_CODES)
        for name, points in lines.items():
            # The legend is about the panel with the codes only, whose colours are those of the outcomes above.
            colour = (CODE_COLOURS.get(name) or next(others, GREY)) if len(lines) > 1 else BLUE
            _draw(chart, points, name, colour, row=row, showlegend=len(lines) > 1)
    fit_time(chart, max(scrape["seconds"] for scrape in scrapes))
    return chart


def has_server_panels(scrapes: Scrapes) -> bool:
    """Returns whether `server_over_time` has anything to draw."""
    return bool(_panels_of(scrapes))


def _panels_of(scrapes: Scrapes) -> list[tuple[str, str, dict[str, Points]]]:
    """Returns title, unit and lines by name of each panel that has data."""
    found = [(title, unit, lines(scrapes)) for title, unit, lines in _PANELS]
    shown = [(title, unit, {name: points for name, points in lines.items() if points}) for title, unit, lines in found]
    return [panel for panel in shown if panel[2]]


def _gauge(scrapes: Scrapes, name: str, *, scale: float = 1.0) -> Points:
    return [(seconds, value * scale) for seconds, value in _series(scrapes, name) if seconds >= 0]


def _rate(scrapes: Scrapes, name: str) -> Points:
    """Returns the increase a second between scrapes, except across a restart, which resets counters."""
    points = _series(scrapes, name)
    return [
        (seconds, (value - before) / (seconds - since) if value >= before else math.nan)
        for (since, before), (seconds, value) in itertools.pairwise(points)
        if seconds > max(since, 0)
    ]


def _mean(scrapes: Scrapes, histogram: str) -> Points:
    """Returns the mean of a histogram's observations between scrapes."""
    sums, counts = _rate(scrapes, f"{histogram}_sum"), _rate(scrapes, f"{histogram}_count")
    return [
        (seconds, total / count if count else math.nan)
        for (seconds, total), (_, count) in zip(sums, counts, strict=True)
    ]


def _handled(scrapes: Scrapes) -> dict[str, Points]:
    """Returns the rate of ended calls for each gRPC code that occurred."""
    names = {name for scrape in scrapes for name in scrape.get("samples", ()) if name.startswith(_HANDLED)}
    codes = sorted({found[1] for name in names if (found := _CODE.search(name))})
    rates: dict[str, Points] = {}
    for code in codes:
        summed: Counter[float] = Counter()
        for name in (name for name in names if f'grpc_code="{code}"' in name):
            summed.update(dict(_rate(scrapes, name)))
        if any(rate > 0 for rate in summed.values()):
            rates[f"calls that ended {code}"] = sorted(summed.items())
    return rates


def _series(scrapes: Scrapes, name: str) -> Points:
    return [(scrape["seconds"], scrape["samples"][name]) for scrape in scrapes if name in scrape.get("samples", ())]


def _draw(chart: go.Figure, points: Points, name: str, colour: str, *, row: int, **options: Any) -> None:
    """Adds a line to a panel; of points too close to distinguish, draws the highest, so that no peak is lost."""
    step = max(1, math.ceil(len(points) / MOST_POINTS))
    drawn = [
        max(points[start : start + step], key=lambda point: (not math.isnan(point[1]), point[1]))
        for start in range(0, len(points), step)
    ]
    line(chart, [x for x, _ in drawn], [y for _, y in drawn], name, colour, row=row, col=1, **options)


CODE_COLOURS = {"calls that ended OK": GREEN, "calls that ended ResourceExhausted": ORANGE}
OTHER_CODES = (RED, VIOLET, TEAL, PINK, OLIVE)
_HANDLED = "grpc_server_handled_total{"
_CODE = re.compile(r'grpc_code="([^"]*)"')

_PANELS: tuple[tuple[str, str, Callable[[Scrapes], dict[str, Points]]], ...] = (
    ("Texts waiting for an encoder", "texts", lambda scrapes: {"waiting": _gauge(scrapes, "chaja_queue_texts")}),
    ("Texts in a batch, mean", "texts", lambda scrapes: {"texts in a batch": _mean(scrapes, "chaja_batch_texts")}),
    ("Calls ended, by gRPC code", "calls a second", _handled),
    ("CPU of the server", "cores", lambda scrapes: {"CPU": _rate(scrapes, "process_cpu_seconds_total")}),
    (
        "Resident memory of the server",
        "MB",
        lambda scrapes: {"memory": _gauge(scrapes, "process_resident_memory_bytes", scale=1e-6)},
    ),
)
"""Title, unit and lines by name."""
