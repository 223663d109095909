"""`python -m loadtest report`: turns one or more results files into one report."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

from loadtest.analysis.objective import judge_objectives
from loadtest.analysis.summary import summarize
from loadtest.commands.assertions import TOLERABLE, add_assertion_options, exit_code, objectives_of
from loadtest.commands.folders import results_files
from loadtest.commands.output import write
from loadtest.errors import ExitCode, UsageError
from loadtest.programs import PROGRAM
from loadtest.reports.csv import requests_csv, timeline_csv
from loadtest.reports.json import json_report
from loadtest.reports.junit import junit_report
from loadtest.reports.openmetrics import openmetrics_report
from loadtest.reports.text import markdown_report, text_report

FORMATS = ("text", "markdown", "json", "csv", "requests", "html", "junit", "openmetrics")


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "report",
        help="turn results files into text, Markdown, JSON, CSV or HTML charts",
        description="Reports on one or more results files. Runs that overlap in time add up; others count as repeats.",
        epilog=f"example: {PROGRAM} report results.bin --format html --out report.html",
        allow_abbrev=False,
    )
    parser.set_defaults(run=run)
    files = "results files, or folders of them; - is standard input"
    parser.add_argument("results", type=Path, nargs="+", metavar="RESULTS", help=files)
    parser.add_argument(
        "--format", choices=FORMATS, default="text",
        help="csv: one line per second; requests: CSV with one line per request; junit: XML with a test case for each "
        "assertion; openmetrics: the seconds of the run, for Prometheus (default: text)",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, metavar="FILE", help="write to this file instead of standard output")
    add_assertion_options(parser)


def run(options: argparse.Namespace) -> ExitCode:
    """Runs the command."""
    objectives, within = objectives_of(options)
    files = [file for path in options.results for file in results_files(path)]
    places = [file.resolve() for file in files]
    if twice := [file for file, place in zip(files, places, strict=True) if places.count(place) > 1]:
        raise UsageError(f"{twice[0]} is named twice, and would count twice")
    summary = summarize(files, within_seconds=within, by_call=options.format == "openmetrics")
    verdicts = judge_objectives(objectives, summary)
    parts: Iterable[str]
    match options.format:
        case "markdown":
            parts = [markdown_report(summary, verdicts)]
        case "json":
            parts = [json_report(summary, verdicts)]
        case "csv":
            parts = [timeline_csv(summary)]
        case "junit":
            late, missed = (tolerable not in options.tolerate for tolerable in TOLERABLE)
            parts = [junit_report(summary, verdicts, late_fails=late, missed_when_late_fails=missed)]
        case "openmetrics":
            parts = [openmetrics_report(summary)]
        case "requests":
            parts = requests_csv(files)
        case "html":
            from loadtest.reports.page import report_page  # noqa: PLC0415  Plotly is slow to import.

            parts = [report_page(summary, verdicts)]
        case _:
            parts = [text_report(summary, verdicts)]
    write(parts, options.out)
    if options.out is not None:
        print(options.out)
    return exit_code(summary, objectives, tolerated=options.tolerate)
