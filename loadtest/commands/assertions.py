"""Flags for assertions, and the exit code that they make."""

import argparse
from collections.abc import Collection

from loadtest.analysis.objective import Objective, goodput_bound, judge_objectives, parse_objective
from loadtest.analysis.summary import Summary
from loadtest.attack import Ending
from loadtest.commands.options import duration
from loadtest.errors import ExitCode

LATE, MISSED_WHEN_LATE = TOLERABLE = ("late", "missed-when-late")


def add_assertion_options(parser: argparse._ArgumentGroup | argparse.ArgumentParser) -> None:
    """Adds the flags that state a run's objectives."""
    parser.add_argument(
        "--assert", dest="assertions", action="append", default=[], metavar="OBJECTIVE",
        help="objective such as 'p99<50ms' or 'errors<0.1%%'; exit with 99 if it is not met; repeatable",
    )  # fmt: skip
    add_tolerance_option(parser)
    parser.add_argument(
        "--within", type=duration, metavar="DURATION",
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
    excused = late and not summary.server_failed and MISSED_WHEN_LATE in tolerated
    if not met and not excused:
        return ExitCode.ASSERTION
    if not summary.total.ok.count or (objectives and summary.partial):  # A part of a run proves no objective.
        return ExitCode.FAILED
    return ExitCode.SATURATED if late and LATE not in tolerated else ExitCode.OK
