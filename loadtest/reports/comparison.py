"""A comparison as a table, and as JSON: durations in seconds, shares from 0 to 1, missing values as null."""

import json
import math
from collections.abc import Sequence
from typing import Any

from loadtest.analysis.compare import Comparison, Row
from loadtest.digits import four_digits
from loadtest.reports.json import known
from loadtest.reports.table import Table

SCHEMA_VERSION = 1
UNITS = {"ms": "seconds", "/s": "a second", "%": "share"}
KEYS: tuple[tuple[str, str], ...] = (
    ("`schema_version`", "1; raised if readers would break"),
    ("`a`, `b`", "each side: its `path`, `repeats` and resampled `seconds`"),
    ("`conclusive`", "whether each side has enough repeats to judge differences"),
    ("`notes`", "warnings: partial runs, different plans, saturated generators, too few repeats"),
    (
        "`figures`",
        "each figure: `name`, `unit` (`seconds`, `a second`, `share`), values `a`, `b`, `change` (B/A; of shares, B-A) "
        "with the ends `low` and `high` of its 95 % interval, `beyond_noise`, `worse`, and `worse_by`, how much "
        "worse B is at least",
    ),
    ("`max_regression`, `regressions`", "`--max-regression`, and the names of the figures that are worse by more"),
)
"""Keys of the JSON and their meaning, as Markdown for the documents."""


def comparison_table(comparison: Comparison) -> Table:
    """Returns a comparison as a table."""
    seconds = " and ".join(f"{count} s" for count in comparison.seconds)
    repeats = " and ".join(str(count) for count in comparison.repeats)
    title = f"{repeats} repeats, {seconds}; 95 % intervals of the ratio B/A (for shares: of the difference B-A)"
    return Table(
        title,
        ("", "A", "B", "B/A", "from", "to", "verdict"),
        [_cells(row, conclusive=comparison.conclusive) for row in comparison.rows],
    )


def comparison_json(
    comparison: Comparison, *, paths: tuple[str, str], max_regression: float | None, regressions: Sequence[Row]
) -> str:
    """Returns a comparison of two paths as JSON."""
    sides = zip(paths, comparison.repeats, comparison.seconds, strict=True)
    a, b = ({"path": path, "repeats": repeats, "seconds": seconds} for path, repeats, seconds in sides)
    made = {
        "schema_version": SCHEMA_VERSION,
        "a": a,
        "b": b,
        "conclusive": comparison.conclusive,
        "notes": [*comparison.notes, *filter(None, [comparison.caution])],
        "figures": [_figure(row) for row in comparison.rows],
        "max_regression": max_regression,
        "regressions": [row.name for row in regressions],
    }
    return json.dumps(known(made), ensure_ascii=False, indent=2) + "\n"


def _figure(row: Row) -> dict[str, Any]:
    return {
        "name": row.name,
        "unit": UNITS[row.unit],
        "a": row.a,
        "b": row.b,
        "change": row.ratio,
        "low": row.low,
        "high": row.high,
        "beyond_noise": row.beyond_noise,
        "worse": row.worse,
        "worse_by": row.worse_by(),
    }


def _ratio(value: float) -> str:
    return "-" if math.isinf(value) else f"{value:.3f}"


def _cells(row: Row, *, conclusive: bool) -> tuple[str, ...]:
    if row.unit == "%":
        values = [f"{value:.3%}" for value in (row.a, row.b)] + [
            f"{value:+.3%}" for value in (row.ratio, row.low, row.high)
        ]
    else:
        factor = 1e3 if row.unit == "ms" else 1.0
        values = [f"{four_digits(value * factor)} {row.unit}" for value in (row.a, row.b)]
        values += [_ratio(value) for value in (row.ratio, row.low, row.high)]
    if not row.beyond_noise:
        verdict = "within noise"
    else:
        verdict = ("WORSE" if row.worse else "better") if conclusive else "differs, perhaps by chance"
    return (row.name, *values, verdict)
