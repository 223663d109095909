"""A table, before a format lays it out."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """A table of formatted cells; the first column names the row.

    Attributes:
        title: Its title.
        columns: Titles of the columns; all empty for a table without a head.
        rows: The cells.
        sentences: Whether the last column has sentences, which are aligned to the left and wrap on pages.
    """

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    sentences: bool = False
