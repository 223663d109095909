"""Charts of a report as inline SVG, drawn without scripts. Their width follows that of the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple

WIDTH = 400
"""Units of a chart's width; about pixels on a phone, where its letters must be readable."""

ROW = 34
LABEL_Y, MARK_Y = 12, 22

COLOURS = ("#2563eb", "#d97706", "#059669", "#dc2626", "#7c3aed", "#0891b2", "#be185d", "#65a30d", "#57534e", "#a16207")


class Mark(NamedTuple):
    """A value from 0 to 1 with its interval, and the colour's place among `COLOURS`."""

    value: float
    interval: tuple[float, float] | None
    colour: int


def colour(place: int) -> str:
    """Returns the colour of a system by its place; after the last one they begin again."""
    return COLOURS[place % len(COLOURS)]


def bars(rows: Sequence[tuple[str, Mark]], *, title: str) -> str:
    """Returns a chart with a bar for each row, its label above it and its interval on it."""
    parts = []
    for row, (label, mark) in enumerate(rows):
        top = row * ROW
        parts += [
            _text(0, top + LABEL_Y, label),
            _text(WIDTH, top + LABEL_Y, f"{mark.value:.3f}", end=True),
            f'<rect x="0" y="{top + 17}" width="{WIDTH}" height="10" class="back"/>',
            f'<rect x="0" y="{top + 17}" width="{mark.value * WIDTH:.1f}" height="10" fill="{colour(mark.colour)}"/>',
            _whisker(mark, top + MARK_Y, "ink"),
        ]
    return _svg("".join(parts), len(rows) * ROW, title)


def dots(rows: Sequence[tuple[str, Sequence[Mark]]], *, title: str) -> str:
    """Returns a chart with a line from 0 to 1 for each row, its label above it, and dots with intervals on it."""
    parts = []
    for row, (label, marks) in enumerate(rows):
        top = row * ROW
        values = " / ".join(f"{mark.value:.3f}" for mark in marks)
        parts += [_text(0, top + LABEL_Y, label), _text(WIDTH, top + LABEL_Y, values, end=True)]
        parts.append(f'<rect x="0" y="{top + 21}" width="{WIDTH}" height="2" class="back"/>')
        for mark in marks:
            parts.append(_whisker(mark, top + MARK_Y, colour(mark.colour)))
            place = mark.value * WIDTH
            parts.append(f'<circle cx="{place:.1f}" cy="{top + MARK_Y}" r="5" fill="{colour(mark.colour)}"/>')
    return _svg("".join(parts), len(rows) * ROW, title)


def curves(series: Mapping[str, Sequence[float]], *, points: Sequence[str], title: str) -> str:
    """Returns a chart with a line for each series over `points`; the least value shown is the lowest tenth."""
    left, right, top, bottom = 34, WIDTH - 20, 10, 210
    values = [value for each in series.values() for value in each]
    low = min(0.9, int(min(values) * 10) / 10)
    steps = round((1 - low) * 10)
    parts = []

    def height(value: float) -> float:
        return bottom - (value - low) / (1 - low) * (bottom - top)

    for step in range(0, steps + 1, 2 if steps > 5 else 1):
        value = low + step / 10
        y = height(value)
        parts.append(f'<line x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" class="grid"/>')
        parts.append(_text(left - 6, y + 4, f"{value:.1f}", end=True))
    places = [left + (right - left) * number / (len(points) - 1) for number in range(len(points))]
    for place, name in zip(places, points, strict=True):
        parts.append(f'<text x="{place:.1f}" y="{bottom + 18}" text-anchor="middle">{escape(name)}</text>')
    for number, each in enumerate(series.values()):
        line = " ".join(f"{place:.1f},{height(value):.1f}" for place, value in zip(places, each, strict=True))
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour(number)}" stroke-width="2.5"/>')
    return _svg("".join(parts), bottom + 26, title)


def legend(names: Mapping[str, int]) -> str:
    """Returns the names beside their colours, as HTML."""
    items = [
        f'<li><span class="key" style="background:{colour(place)}"></span>{escape(name)}</li>'
        for name, place in names.items()
    ]
    return f'<ul class="legend">{"".join(items)}</ul>'


def _svg(content: str, height: float, title: str) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:g}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{content}</svg>"
    )


def _text(x: float, y: float, text: str, *, end: bool = False) -> str:
    anchor = ' text-anchor="end"' if end else ""
    return f'<text x="{x:g}" y="{y:.1f}"{anchor}>{escape(text)}</text>'


def _whisker(mark: Mark, y: float, stroke: str) -> str:
    if mark.interval is None:
        return ""
    low, high = (bound * WIDTH for bound in mark.interval)
    style = 'class="ink"' if stroke == "ink" else f'stroke="{stroke}"'
    return f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{y:g}" y2="{y:g}" {style} stroke-width="2"/>'
