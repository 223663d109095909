"""Reports as aligned text for a terminal, and as Markdown for a pull request."""

import unicodedata

from loadtest.analysis.objective import Verdict
from loadtest.analysis.summary import Summary
from loadtest.reports.table import Table
from loadtest.reports.tables import closing, notes, tables, verdict


def text_report(summary: Summary, verdicts: list[Verdict]) -> str:
    """Returns the report as text."""
    parts = [verdict(summary), *notes(summary)]
    parts += [f"\n{text_table(table)}" for table in tables(summary, verdicts)]
    if last := closing(summary, verdicts):
        parts.append(f"\n{last}")
    return "\n".join(parts) + "\n"


def markdown_report(summary: Summary, verdicts: list[Verdict]) -> str:
    """Returns the report as Markdown."""
    parts = [f"**{verdict(summary)}**", *(f"**{note}**" for note in notes(summary))]
    parts += [f"### {table.title}\n\n{markdown_table(table)}" for table in tables(summary, verdicts)]
    if last := closing(summary, verdicts):
        parts.append(f"**{last}**")
    return "\n\n".join(parts) + "\n"


def text_table(table: Table) -> str:
    """Returns a table with aligned columns: the first to the left, the others to the right."""
    rows = [table.columns, *table.rows]
    widths = [max(_width(row[column]) for row in rows) for column in range(len(table.columns))]
    # A last column of prose, such as that of the environment, is aligned to the left.
    prose = len(table.columns) == 2 or not table.columns[-1]
    lines = [table.title]
    for row in rows if any(table.columns) else table.rows:
        cells = [row[0] + " " * (widths[0] - _width(row[0]))]
        for column, cell in enumerate(row[1:], start=1):
            last = column == len(row) - 1
            cells.append(cell if prose and last else " " * (widths[column] - _width(cell)) + cell)
        lines.append("  " + "  ".join(cells).rstrip())
    return "\n".join(lines)


def markdown_table(table: Table) -> str:
    """Returns a table in Markdown."""
    lines = ["| " + " | ".join(table.columns) + " |", "|---" + "|---:" * (len(table.columns) - 1) + "|"]
    lines += ["| " + " | ".join(cell.replace("|", r"\|") for cell in row) + " |" for row in table.rows]
    return "\n".join(lines)


def _width(text: str) -> int:
    """Returns the width of a text in terminal columns; Korean letters take two."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)
