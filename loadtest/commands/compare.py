"""`python -m loadtest compare A B`: does B differ from A by more than noise?"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

from loadtest.analysis.compare import Row, compare
from loadtest.analysis.resampling import LEAST_REPEATS
from loadtest.analysis.summary import summarize
from loadtest.commands.folders import results_files
from loadtest.errors import ExitCode, UsageError
from loadtest.programs import PROGRAM
from loadtest.reports.comparison import comparison_json, comparison_table
from loadtest.reports.text import markdown_table, text_table

JUDGED = ("achieved rate", "errors", "failed checks", "latency p50", "latency p99")


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "compare",
        help="compare two runs and separate differences from noise",
        description="Compares two results files, or two folders of repeats.",
        epilog=f"example: {PROGRAM} compare before/ after/ --max-regression 5%",
        allow_abbrev=False,
    )
    parser.set_defaults(run=run)
    parser.add_argument("a", type=Path, metavar="A", help="results file, or folder of repeats")
    parser.add_argument("b", type=Path, metavar="B", help="results file or folder to compare with A")
    parser.add_argument(
        "--format", choices=("text", "markdown", "json"), default="text", help="output format (default: text)"
    )
    parser.add_argument(
        "--max-regression", type=_share, metavar="P%",
        help=f"exit with 99 if B is worse than A by more than this, beyond noise, in one of: {', '.join(JUDGED)}",
    )  # fmt: skip


def run(options: argparse.Namespace) -> ExitCode:
    """Runs the command."""
    comparison = compare(*([summarize([path]) for path in results_files(side)] for side in (options.a, options.b)))
    limit = options.max_regression
    worse = [row for row in comparison.rows if row.name in JUDGED and limit is not None and row.worse_by() > limit]
    judged = "" if limit is None or not comparison.conclusive else _judgement(worse, limit)
    if options.format == "json":
        paths = (str(options.a), str(options.b))
        sys.stdout.write(comparison_json(comparison, paths=paths, max_regression=limit, regressions=worse))
    else:
        table = comparison_table(comparison)
        shown = markdown_table(table) if options.format == "markdown" else text_table(table)
        sys.stdout.write(f"A: {options.a}\nB: {options.b}\n\n{shown}\n")
        for note in filter(None, [*comparison.notes, comparison.caution]):
            sys.stdout.write(f"\n{note}\n")
        sys.stdout.write(judged)
    if limit is not None and not comparison.conclusive:
        raise UsageError(f"--max-regression needs at least {LEAST_REPEATS} repeats of each side, in folders")
    return ExitCode.ASSERTION if worse else ExitCode.OK


def _judgement(worse: list[Row], limit: float) -> str:
    """Returns the lines that say which figures are worse by more than the limit."""
    if not worse:
        return f"no regression by more than {limit:.1%} in {', '.join(JUDGED)}\n"
    return "".join(f"regression: {row.name} is worse by at least {row.worse_by():.1%}\n" for row in worse)


def _share(text: str) -> float:
    try:
        share = float(text.removesuffix("%")) / 100
        if not 0 <= share < math.inf:
            raise ValueError
        return share
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a percentage; write, for example, 5%") from None
