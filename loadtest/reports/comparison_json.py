"""A comparison as JSON, for programs: durations in seconds, shares from 0 to 1, missing values as null."""

import json
from collections.abc import Sequence
from typing import Any

from loadtest.analysis.compare import Comparison, Row
from loadtest.reports.json import known

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
"""Keys and their meaning, as Markdown for the documents."""


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
