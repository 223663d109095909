"""Tables for spreadsheets and other programs: a run second by second, or every single request."""

import csv
import io
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from loadtest.analysis.summary import Summary
from loadtest.codes import OUTCOMES
from loadtest.reports.json import timeline_rows
from loadtest.results.file import read_runs
from loadtest.results.record import COLUMNS


def timeline_csv(summary: Summary) -> str:
    """Returns one line for each second: rates, percentiles in seconds, mean stage times, a column for each code."""
    rows = timeline_rows(summary)
    codes = sorted({code for row in rows for code in row["codes"]})
    names = [name for name in (rows[0] if rows else {}) if name != "codes"]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*names, *codes])
    for row in rows:
        writer.writerow([*(_cell(row[name]) for name in names), *(row["codes"].get(code, 0) for code in codes)])
    return text.getvalue()


def requests_csv(paths: Sequence[Path]) -> Iterator[str]:
    """Yields every request of results files, warm-up included, as lines below a header."""
    names = [name for name, _, _ in COLUMNS]
    yield ",".join(names) + "\n"
    for _, blocks in read_runs(paths):
        for block in blocks:
            text = io.StringIO()
            writer = csv.writer(text, lineterminator="\n")
            for record in block.tolist():
                values = dict(zip(names, record, strict=True))
                values["code"] = OUTCOMES[values["code"]]
                writer.writerow([_cell(value) for value in values.values()])
            yield text.getvalue()


def _cell(value: object) -> object:
    """Returns an empty cell for a missing value."""
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.9g}"
    return value
