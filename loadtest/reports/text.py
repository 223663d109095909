"""Reports as aligned text for a terminal, and as Markdown for a pull request.

Texts from outside, such as a server's error messages, may have line ends, and characters that control a terminal.
"""

import re
import unicodedata

from loadtest.analysis.objective import Verdict
from loadtest.analysis.summary import Summary
from loadtest.reports.table import Table
from loadtest.reports.tables import tables
from loadtest.reports.verdict import closing, notes, verdict

_MARKDOWN = re.compile("[|<]")
"""Characters of a cell that Markdown would read as the end of the cell, or as HTML."""


def text_report(summary: Summary, verdicts: list[Verdict]) -> str:
    """Returns the report as text."""
    parts = [printable(line) for line in (verdict(summary), *notes(summary))]
    parts += [f"\n{text_table(table)}" for table in tables(summary, verdicts)]
    if last := closing(summary, verdicts):
        parts.append(f"\n{printable(last)}")
    return "\n".join(parts) + "\n"


def markdown_report(summary: Summary, verdicts: list[Verdict]) -> str:
    """Returns the report as Markdown."""
    parts = [f"**{_markdown(line)}**" for line in (verdict(summary), *notes(summary))]
    parts += [f"### {table.title}\n\n{markdown_table(table)}" for table in tables(summary, verdicts)]
    if last := closing(summary, verdicts):
        parts.append(f"**{_markdown(last)}**")
    return "\n\n".join(parts) + "\n"


def text_table(table: Table) -> str:
    """Returns a table with aligned columns: the first to the left, the others to the right."""
    rows = [tuple(printable(cell) for cell in row) for row in (table.columns, *table.rows)]
    widths = [max(_width(row[column]) for row in rows) for column in range(len(table.columns))]
    # A last column of prose, such as that of the environment, is aligned to the left.
    prose = table.sentences or len(table.columns) == 2 or not table.columns[-1]
    lines = [table.title]
    for row in rows if any(table.columns) else rows[1:]:
        cells = [row[0] + " " * (widths[0] - _width(row[0]))]
        for column, cell in enumerate(row[1:], start=1):
            last = column == len(row) - 1
            cells.append(cell if prose and last else " " * (widths[column] - _width(cell)) + cell)
        lines.append("  " + "  ".join(cells).rstrip())
    return "\n".join(lines)


def markdown_table(table: Table) -> str:
    """Returns a table in Markdown."""
    lines = ["| " + " | ".join(table.columns) + " |", "|---" + "|---:" * (len(table.columns) - 1) + "|"]
    lines += ["| " + " | ".join(_markdown(cell) for cell in row) + " |" for row in table.rows]
    return "\n".join(lines)


def _width(text: str) -> int:
    """Returns the width of a text in terminal columns; Korean letters take two."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def printable(text: str) -> str:
    """Returns a text whose characters are all printable: a line end, for example, becomes a backslash and an n."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape", "surrogatepass").decode() for letter in text
    )


def _markdown(text: str) -> str:
    """Returns a printable text as Markdown that shows it."""
    return _MARKDOWN.sub(r"\\\g<0>", printable(text))
