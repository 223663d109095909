"""`python -m loadtest plot`: draws the charts of several results files into one page."""

from __future__ import annotations

import argparse
from pathlib import Path

from loadtest.analysis.summary import summarize
from loadtest.commands.folders import results_files
from loadtest.commands.output import write
from loadtest.errors import ExitCode
from loadtest.programs import PROGRAM


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "plot",
        help="draw several results files into one page of charts",
        description="Draws latency over time, percentiles and throughput, one colour per results file or folder.",
        epilog=f"example: {PROGRAM} plot before.bin after.bin --out plot.html",
        allow_abbrev=False,
    )
    parser.set_defaults(run=run)
    parser.add_argument("results", type=Path, nargs="+", metavar="RESULTS", help="results files, or folders of repeats")
    parser.add_argument("--out", type=Path, default=Path("plot.html"), metavar="FILE", help="page (default: plot.html)")


def run(options: argparse.Namespace) -> ExitCode:
    """Runs the command."""
    from loadtest.reports.page import comparison_page  # noqa: PLC0415  Plotly is slow to import.

    summaries = {str(path): summarize(results_files(path)) for path in options.results}
    write([comparison_page(summaries)], options.out)
    print(options.out)
    return ExitCode.OK
