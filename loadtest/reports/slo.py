"""The result of a search for the highest rate as a table and as JSON."""

import math
from collections.abc import Sequence
from typing import Any

from loadtest.analysis.objective import Objective
from loadtest.digits import four_digits
from loadtest.reports.cells import milliseconds
from loadtest.reports.table import Table
from loadtest.reports.verdict import cache_notes
from loadtest.slo import Answer
from loadtest.trial import Trial

COLUMNS = ("rate", "offered", "achieved", "p50 ms", "p99 ms", "errors", "cached", "windows", "verdict")


def trials_table(answer: Answer) -> Table:
    """Returns the trials in the order of their rates."""
    rows = [trial_cells(each) for each in sorted(answer.trials, key=lambda each: each.rate)]
    return Table("Trials", COLUMNS, rows, sentences=True)


def trial_line(trial: Trial) -> str:
    """Returns a trial in one line, for the progress."""
    cells = dict(zip(COLUMNS, trial_cells(trial), strict=True))
    return (
        f"{cells['rate']}: {cells['achieved']} achieved, p50 {cells['p50 ms']} ms, p99 {cells['p99 ms']} ms, "
        f"errors {cells['errors']}, {cells['windows']} windows; {cells['verdict']}"
    )


def trial_cells(trial: Trial) -> tuple[str, ...]:
    """Returns a trial's cells of `COLUMNS`."""
    summary = trial.summary
    latency = summary.total.ok.latency
    verdict = "met" if trial.met else "; ".join(trial.troubles)
    if trial.limited:
        verdict = f"GENERATOR SATURATED: {'; '.join(summary.generator.reasons)}"
    return (
        f"{four_digits(trial.rate)}/s",
        f"{summary.offered_rate:,.1f}/s",
        f"{summary.achieved_rate:,.1f}/s",
        milliseconds(latency.percentile(50)),
        milliseconds(latency.percentile(99)),
        f"{summary.error_share:.2%}",
        "-" if math.isnan(cached := summary.total.cached_share) else f"{cached:.1%}",
        f"{trial.windows_met}/{trial.windows}",
        verdict,
    )


def answer_notes(answer: Answer) -> list[str]:
    """Returns the warnings that readers of the answer need."""
    return cache_notes(answer.at_highest.summary) if answer.at_highest else []


def answer_object(answer: Answer, objectives: Sequence[Objective]) -> dict[str, Any]:
    """Returns the answer as an object for JSON: durations in seconds, shares from 0 to 1."""
    met, trials = answer.confirmed
    return {
        "schema_version": 1,
        "answer": answer.line(),
        "notes": answer_notes(answer),
        "objectives": [objective.text for objective in objectives],
        "highest_rate": answer.highest,
        "failing_rate": answer.failing,
        "limited_by_generator": answer.limited,
        "interrupted": answer.interrupted,
        "trouble": answer.trouble,
        "confirmed": {"met": met, "trials": trials, "confidence_at_least": answer.confidence},
        "trials": [_trial_object(trial) for trial in answer.trials],
    }


def _trial_object(trial: Trial) -> dict[str, Any]:
    summary = trial.summary
    latency = summary.total.ok.latency
    p50, p99 = (latency.percentile(percent) if latency.count else None for percent in (50, 99))
    return {
        "rate": trial.rate,
        "offered": summary.offered_rate,
        "achieved": summary.achieved_rate,
        "p50_seconds": p50,
        "p99_seconds": p99,
        "error_share": summary.error_share,
        "cached_share": None if math.isnan(cached := summary.total.cached_share) else cached,
        "windows_met": trial.windows_met,
        "windows": trial.windows,
        "met": trial.met,
        "generator_saturated": trial.saturated,
        "troubles": list(trial.troubles),
        "file": str(summary.runs[0].path),
    }
