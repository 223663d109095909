"""The HTML elements of pages; escapes every text from outside."""

from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from loadtest.reports.table import Table

# With this policy the browser fetches nothing, whatever the library asks for.
POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"

FOLDER = Path(__file__).parent


def banner(kind: str, said: str) -> str:
    """Returns a verdict as a banner; its kind is `good`, `unsure` or `bad`."""
    return f'<p class="verdict {kind}" role="status"><strong>{escape(said)}</strong></p>'


def note(text: str) -> str:
    """Returns a note that readers need before the figures."""
    return f'<p class="note">{escape(text)}</p>'


def soft(text: str) -> str:
    """Returns a line in a soft colour."""
    return f'<p class="soft">{escape(text)}</p>'


def section(heading: str, content: str, caption: str = "") -> str:
    """Returns content, which is HTML, below its heading."""
    said = soft(caption) if caption else ""
    return f"<section><h2>{escape(heading)}</h2>{said}{content}</section>"


def chart_section(heading: str, chart: go.Figure, caption: str = "") -> str:
    """Returns a chart below its heading."""
    # plotly's JSON has no `<`, so it cannot close the element.
    data = f'<script type="application/json">{chart.to_json()}</script>'
    return section(heading, f'<div class="chart" style="height: {chart.layout.height}px"></div>{data}', caption)


def figures_section(figures: Mapping[str, str]) -> str:
    """Returns figures in large type, given by their labels."""
    items = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in figures.items())
    return f'<dl class="figures">{items}</dl>'


def table_section(table: Table) -> str:
    """Returns a table below its title."""
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in table.columns)
    headed = f"<thead><tr>{head}</tr></thead>" if any(table.columns) else ""
    body = "".join(
        f'<tr><th scope="row">{escape(first)}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in rest)}</tr>'
        for first, *rest in table.rows
    )
    kind = "wide" if any(table.columns) else "wide prose"
    kind += " sentences" if table.sentences else ""
    return section(table.title, f'<div class="{kind}"><table>{headed}<tbody>{body}</tbody></table></div>')


def page(title: str, parts: Iterable[str]) -> str:
    """Returns a whole page, which uses no network. Parts are HTML; the title is plain text."""
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
