"""`python -m loadtest slo`: finds the highest rate that meets given objectives."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path

from loadtest.analysis.objective import parse_objective
from loadtest.commands.assertions import LATE, MISSED_WHEN_LATE, add_tolerance_option
from loadtest.commands.machines import add_machine_options, warn_about_local_target, workers_of
from loadtest.commands.options import (
    add_request_options,
    add_run_options,
    add_target_options,
    command_line,
    duration,
)
from loadtest.commands.output import write
from loadtest.commands.parser import figures_help, placeholders_help
from loadtest.commands.plan import check_objectives, make_plan
from loadtest.errors import ExitCode, UsageError
from loadtest.progress import TerminalProgress
from loadtest.reports.slo import answer_notes, answer_object, trial_line, trials_table
from loadtest.reports.text import text_table
from loadtest.results.file import is_results_file
from loadtest.schedule import HIGHEST_RATE, LOWEST_RATE, constant
from loadtest.slo import search
from loadtest.trial import Trial, trial

EXAMPLE = r"""example:
  %(prog)s localhost:50051 --queries sample/queries.jsonl --unique \
      --objective 'p99<50ms' --objective 'errors<0.1%%'"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "slo",
        usage="%(prog)s [FLAG …] HOST:PORT",
        help="find the highest rate that meets objectives",
        description="Doubles the rate until an objective is missed, then bisects and confirms the result.",
        epilog=EXAMPLE + f"\n\n{placeholders_help()}\n\n{figures_help()}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.set_defaults(run=run)
    add_target_options(parser)
    group = parser.add_argument_group("the search")
    group.add_argument(
        "--objective", dest="objectives", action="append", default=[], metavar="OBJECTIVE",
        help="objective such as 'p99<50ms' or 'errors<0.1%%'; repeatable",
    )  # fmt: skip
    group.add_argument("--start-rate", type=float, default=50.0, metavar="R", help="first rate (default: 50)")
    group.add_argument("--max-rate", type=float, default=math.inf, metavar="R", help="highest rate to try")
    group.add_argument("--precision", type=float, default=5.0, metavar="P", help="tolerance in percent (default: 5)")
    group.add_argument("--windows", type=int, default=3, metavar="N", help="windows per trial (default: 3)")
    length = "length of a window (default: 4s)"
    group.add_argument("--window", type=duration, default=4.0, metavar="DURATION", help=length)
    group.add_argument("--repeats", type=int, default=2, metavar="N", help="confirming trials (default: 2)")
    group.add_argument("--poisson", action="store_true", help="send as a Poisson process instead of at even intervals")
    add_tolerance_option(group)
    group.add_argument(
        "--out", type=Path, default=Path("slo"), metavar="DIR",
        help="folder for each trial's results, slo.json and slo.html (default: slo)",
    )  # fmt: skip
    add_request_options(parser)
    add_run_options(parser)
    add_machine_options(parser)


def run(options: argparse.Namespace) -> ExitCode:
    """Runs the command."""
    from loadtest.reports.slo_page import answer_page  # noqa: PLC0415  Plotly is slow to import.

    objectives = [parse_objective(text) for text in options.objectives]
    if not objectives:
        raise UsageError("give at least one --objective, such as 'p99<50ms'")
    if not (options.max_rate >= LOWEST_RATE and 0 < options.precision < math.inf):
        raise UsageError(f"--max-rate must be at least {LOWEST_RATE:g}, and --precision above 0")
    if options.windows < 2 or options.repeats < 0 or options.windows * options.window < 1:
        raise UsageError("--windows must be at least 2, windows × --window at least 1s, and --repeats at least 0")
    if options.out.exists() and not options.out.is_dir():
        raise UsageError(f"--out {options.out} is not a folder")
    plan = make_plan(options, schedule=constant(options.start_rate), seconds=options.windows * options.window)
    check_objectives(objectives, plan)
    workers = workers_of(options)
    warn_about_local_target(plan.target, workers)
    line = command_line(sys.argv[1:])
    progress = TerminalProgress(sys.stderr)
    files: list[Path] = []

    def measure(rate: float) -> Trial:
        number = len(files) + 1
        files.append(options.out / f"trial-{number:02}-{rate:g}.bin")
        tried = trial(
            plan,
            rate,
            objectives,
            files[-1],
            windows=options.windows,
            window_seconds=options.window,
            poisson=options.poisson,
            workers=workers,
            observer=progress,
            command_line=line,
        )
        progress.clear()
        print(f"trial {number}: {trial_line(tried)}", file=sys.stderr)
        return tried

    answer = search(
        measure,
        start=options.start_rate,
        limit=min(options.max_rate, HIGHEST_RATE),
        precision=options.precision / 100,
        repeats=options.repeats,
    )
    progress.clear()
    _remove_others(options.out, files)
    first = "\n".join([answer.line(), *answer_notes(answer)])
    sys.stdout.write(f"{first}\n\n{text_table(trials_table(answer))}\n")
    found = json.dumps(answer_object(answer, objectives), indent=2, ensure_ascii=False) + "\n"
    write([found], options.out / "slo.json")
    write([answer_page(answer, objectives)], options.out / "slo.html")
    print(f"\nresults, slo.json and slo.html: {options.out}", file=sys.stderr)
    if answer.interrupted or answer.trouble:
        return ExitCode.INTERRUPTED if answer.interrupted else ExitCode.FAILED
    if answer.highest is None and not (answer.limited and MISSED_WHEN_LATE in options.tolerate):
        return ExitCode.ASSERTION
    return ExitCode.SATURATED if answer.limited and LATE not in options.tolerate else ExitCode.OK


def _remove_others(folder: Path, files: Sequence[Path]) -> None:
    """Deletes the trials of an earlier search, which a report on the folder would mix with these `files`."""
    for earlier in set(folder.glob("trial-*.bin")) - set(files):
        if is_results_file(earlier):
            earlier.unlink()
