"""`python -m loadtest attack`: sends load, stores the results, prints the report."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Collection
from pathlib import Path

from loadtest.analysis.objective import Objective, goodput_bound, judge_objectives, parse_objective
from loadtest.analysis.summary import Summary, summarize
from loadtest.attack import Ending, attack
from loadtest.commands.calls import check_objectives
from loadtest.commands.machines import add_machine_options, warn_about_local_target, workers_of
from loadtest.commands.options import (
    add_request_options,
    add_run_options,
    add_schedule_options,
    add_target_options,
    check_measurable,
    command_line,
    duration,
    make_plan,
    make_schedule,
    measured_seconds,
)
from loadtest.errors import EXIT_CODES, ExitCode, UsageError
from loadtest.progress import TerminalProgress
from loadtest.reports.text import text_report

LATE, MISSED_WHEN_LATE = TOLERABLE = ("late", "missed-when-late")

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
""" + "\n".join(f"  {code.value:3}  {meaning}" for code, meaning in EXIT_CODES.items())


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "attack",
        help="send load, store the results, print the report",
        description="Sends load to a server and measures every request from its planned time.",
        epilog=EXAMPLES,
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


def add_assertion_options(parser: argparse._ArgumentGroup | argparse.ArgumentParser) -> None:
    """Adds the flags that state a run's objectives."""
    parser.add_argument(
        "--assert", dest="assertions", action="append", default=[], metavar="OBJECTIVE",
        help="objective such as 'p99<50ms' or 'errors<0.1%%'; exit with 99 if it is not met; repeatable",
    )  # fmt: skip
    add_tolerance_option(parser)
    parser.add_argument(
        "--within", type=duration,
        help="latency limit of goodput (default: that of the tightest assertion, or else the deadline)",
    )  # fmt: skip


def add_tolerance_option(parser: argparse._ArgumentGroup | argparse.ArgumentParser) -> None:
    """Adds the flag that says which exit codes of a late generator a shared machine tolerates."""
    parser.add_argument(
        "--tolerate", action="append", default=[], choices=TOLERABLE,
        help="late: exit with 0 instead of 3 if the generator was saturated and every objective was met; "
        "missed-when-late: exit with 3 instead of 99 if the generator was saturated and one was missed; repeatable",
    )  # fmt: skip


def objectives_of(options: argparse.Namespace) -> tuple[list[Objective], float | None]:
    """Returns the assertions, and the latency limit of goodput."""
    objectives = [parse_objective(text) for text in options.assertions]
    return objectives, options.within if options.within is not None else goodput_bound(objectives)


def exit_code(
    summary: Summary, objectives: list[Objective], ending: Ending | None = None, *, tolerated: Collection[str] = ()
) -> ExitCode:
    """Returns the exit code of a run; `tolerated` has values of `TOLERABLE`.

    If several apply, the first of these counts: an attack that ended early, a missed assertion, no success or a partial
    run with assertions, a saturated generator.
    """
    if ending is not None and ending.partial:
        return ExitCode.INTERRUPTED if ending.interrupted else ExitCode.FAILED
    met = all(verdict.met for verdict in judge_objectives(objectives, summary))
    late = summary.generator.saturated
    if not met and not (late and MISSED_WHEN_LATE in tolerated):
        return ExitCode.ASSERTION
    if not summary.total.ok.count or (objectives and summary.partial):  # A part of a run proves no objective.
        return ExitCode.FAILED
    return ExitCode.SATURATED if late and LATE not in tolerated else ExitCode.OK


def run(options: argparse.Namespace) -> ExitCode:
    """Runs the command."""
    objectives, within = objectives_of(options)
    check_measurable(objectives, options)
    if options.out.is_dir():
        raise UsageError(f"--out {options.out} is a directory")
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
