"""A mix: a file with a row for each kind of call (see `requests.rows` for its formats)."""

from pathlib import Path
from typing import Any

import msgspec

from loadtest.analysis.figures import DISTRIBUTIONS
from loadtest.errors import UsageError
from loadtest.requests.rows import DELIMITERS, rows_of


class MixRow(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A row of a mix. Its fields are those of `plan.Call`; `None` and empty values stand for the flags."""

    call: str
    name: str = ""
    weight: float = 1.0
    data: Any = None
    queries_per_call: int | None = None
    check: str | list[str] = []
    headers: dict[str, str] = {}


IN_JSON = ("data", "headers")
"""Cells of a table that hold JSON."""

OPTIONAL = [name for name in MixRow.__struct_fields__ if name != "call"]


def read_mix(path: Path) -> list[MixRow]:
    """Returns the rows of a mix.

    Raises:
        UsageError: The file cannot be read, has no row, or a malformed one; the message names it.
    """
    rows = []
    for where, value in rows_of(path):
        try:
            row = _of_cells(value) if path.suffix.lower() in DELIMITERS and isinstance(value, dict) else value
            rows.append(msgspec.convert(row, MixRow, strict=False))  # The cells of CSV are texts.
        except (msgspec.MsgspecError, ValueError) as error:
            raise UsageError(
                f"{where}: expected an object with call (a method), and optionally {', '.join(OPTIONAL)}: {error}"
            ) from None
    if taken := {row.name for row in rows} & DISTRIBUTIONS.keys() - {""}:
        raise UsageError(f"{min(taken)!r} is a figure of objectives: give the call (--mix) another name")
    if not rows:
        raise UsageError(f"{path} has no calls")
    return rows


def _of_cells(cells: dict[str, Any]) -> dict[str, Any]:
    """Returns a row of a table without its empty cells; raises msgspec.DecodeError for a cell that is no JSON."""
    return {name: msgspec.json.decode(cell) if name in IN_JSON else cell for name, cell in cells.items() if cell}
