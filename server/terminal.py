"""Texts in columns of a terminal."""

import unicodedata
from collections.abc import Sequence


def printable(text: str) -> str:
    """Returns a text in one line, with a question mark for what a terminal may act on, such as marks of direction."""
    return "".join(character if character.isprintable() else "?" for character in text)


def fitted(text: str, columns: int) -> str:
    """Returns a text in a fixed number of a terminal's columns, of which Korean letters take two."""
    shown, taken = "", 0
    for character in printable(text):
        width = 2 if unicodedata.east_asian_width(character) in "WF" else 1
        if taken + width > columns:
            break
        shown += character
        taken += width
    return shown + " " * (columns - taken)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Returns the lines of a table; the first column is aligned at the left, the others at the right."""
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    return [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in [header, *rows]
    ]
