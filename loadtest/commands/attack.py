"""`python -m loadtest attack`: sends load, stores the results, prints the report."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from loadtest.analysis.objective import judge_objectives
from loadtest.analysis.summary import summarize
from loadtest.attack import attack
from loadtest.commands.assertions import add_assertion_options, exit_code, objectives_of
from loadtest.commands.machines import add_machine_options, warn_about_local_target, workers_of
from loadtest.commands.options import add_request_options, add_run_options, add_target_options, command_line
from loadtest.commands.parser import figures_help, placeholders_help
from loadtest.commands.plan import check_objectives, make_plan
from loadtest.commands.schedule import add_schedule_options, make_schedule, measured_seconds
from loadtest.errors import EXIT_CODES, ExitCode, UsageError
from loadtest.progress import TerminalProgress
from loadtest.reports.text import text_report
from loadtest.results.file import STANDARD_INPUT

EXAMPLES = r"""examples:
  send 50 searches a second for 30 s and print the report:
    %(prog)s localhost:50051 --queries sample/queries.jsonl --unique --rate 50 --duration 30s
  fail a CI job (exit code 99) if the tail latency is too high:
    … --assert 'p99<50ms' --assert 'errors<0.1%%'
  keep 16 calls in flight and compare each answer with the reference answer:
    %(prog)s localhost:50051 --queries sample/queries.jsonl --in-flight 16 --count 5000 --check-answers
  call a method of another server:
    %(prog)s localhost:9000 --call shop.Orders/Get --data '{"id": "{{number}}"}' \
        --rate 100 --duration 10s

exit codes:
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    codes = "\n".join(f"  {code.value:3}  {meaning}" for code, meaning in EXIT_CODES.items())
    parser = commands.add_parser(
        "attack",
        usage="%(prog)s [FLAG …] HOST:PORT",
        help="send load, store the results, print the report",
        description="Sends load to a server and measures every request from its planned time.",
        epilog=f"{EXAMPLES}{codes}\n\n{placeholders_help()}\n\n{figures_help()}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.set_defaults(run=run)
    add_target_options(parser)
    add_schedule_options(parser)
    add_request_options(parser)
    add_run_options(parser)
    add_machine_options(parser)
    group = parser.add_argument_group("the results")
    group.add_argument(
        "--out", type=Path, default=Path("results.bin"), metavar="FILE", help="results file (default: results.bin)"
    )
    add_assertion_options(group)


def run(options: argparse.Namespace) -> ExitCode:
    """Runs the command."""
    objectives, within = objectives_of(options)
    if options.out == STANDARD_INPUT:
        raise UsageError("--out - is not a file: the report goes to standard output, and the results need a file")
    if options.out.is_dir():
        raise UsageError(f"--out {options.out} is a directory")
    if options.out.exists() and not options.out.is_file():
        raise UsageError(f"--out {options.out} is no file: the report is made from the results, so name a file")
    schedule = make_schedule(options)
    plan = make_plan(
        options,
        schedule=schedule,
        in_flight=options.in_flight or 0,
        seconds=measured_seconds(options, schedule),
        count=options.count,
    )
    check_objectives(objectives, plan)
    workers = workers_of(options)
    warn_about_local_target(plan.target, workers)
    progress = TerminalProgress(sys.stderr)
    try:
        ending = attack(
            plan,
            options.out,
            workers=workers,
            observer=progress,
            command_line=command_line(sys.argv[1:]),
        )
    finally:
        progress.clear()
    print(f"results: {options.out}", file=sys.stderr)
    summary = summarize([options.out], within_seconds=within)
    sys.stdout.write(text_report(summary, judge_objectives(objectives, summary)))
    return exit_code(summary, objectives, ending, tolerated=options.tolerate)
