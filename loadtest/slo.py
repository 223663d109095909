"""The highest rate that meets given objectives: doubled until they fail, bisected, and confirmed.

A rate meets them when a trial does as a whole, when at most one of its windows does not, and when it is stable: a
server that is slower than the rate may still meet a latency for a while, with a queue that grows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from loadtest.analysis.objective import Objective, Verdict, goodput_bound, judge_objectives
from loadtest.analysis.summary import Summary, summarize
from loadtest.attack import Observer, attack
from loadtest.errors import AttackError, UsageError
from loadtest.plan import Plan
from loadtest.schedule import constant

KEPT_SHARE = 0.98
"""A stable server answers at least this share of what is offered."""

GROWTH = 1.5
GROWTH_SECONDS = 0.001
"""The median of the last window may be this many times that of the first one, and a millisecond more."""

CONFIDENCE_Z = 1.96
LOWEST_RATE = 0.1


@dataclass(frozen=True)
class Trial:
    """One rate, tried once.

    Attributes:
        rate: Requests a second.
        summary: What came of it.
        verdicts: What became of the objectives over the whole of it.
        windows_met: Windows in which every objective was met.
        windows: Number of windows.
        troubles: Why it does not count as met; empty if it does.
        saturated: Whether the generator was saturated.
    """

    rate: float
    summary: Summary
    verdicts: tuple[Verdict, ...]
    windows_met: int
    windows: int
    troubles: tuple[str, ...]
    saturated: bool

    @property
    def met(self) -> bool:
        """Whether the rate met every objective; a late generator only makes latencies longer, so it may have been."""
        return not self.troubles

    @property
    def limited(self) -> bool:
        """Whether it was not met with a saturated generator, which says nothing about the server."""
        return self.saturated and not self.met


@dataclass(frozen=True)
class Answer:
    """What a search found.

    Attributes:
        trials: Every trial, in order.
        highest: Highest rate that met the objectives every time; `None` if none did.
        failing: Lowest rate above it that did not; `None` if none failed.
        limited: Whether the generator, rather than the server, ended the search.
    """

    trials: tuple[Trial, ...]
    highest: float | None
    failing: float | None
    limited: bool

    @property
    def confirmed(self) -> tuple[int, int]:
        """Windows that met every objective at the highest rate, and windows tried at it."""
        there = [trial for trial in self.trials if trial.rate == self.highest and not trial.limited]
        return sum(trial.windows_met for trial in there), sum(trial.windows for trial in there)

    def line(self) -> str:
        """Returns the answer in one sentence or two."""
        if self.highest is None:
            return "No rate met the objectives" + (": the generator is the limit." if self.limited else ".")
        met, windows = self.confirmed
        times = sum(trial.rate == self.highest and not trial.limited for trial in self.trials)
        if self.failing is None:
            above = "no higher rate was asked for"
        else:
            above = "the generator is the limit above it" if self.limited else f"not at {self.failing:,.6g}/s"
        return (
            f"{self.highest:,.6g} requests a second meet the objectives, {above}. They were met in {met} of {windows} "
            f"windows of {times} trials: with 95 % confidence, in more than {lower_bound(met, windows):.0%} of all."
        )


def search(
    measure: Callable[[float], Trial],
    *,
    start: float,
    limit: float = math.inf,
    precision: float = 0.05,
    repeats: int = 2,
) -> Answer:
    """Searches for the highest rate that meets the objectives.

    Args:
        measure: Tries a rate.
        start: The first rate.
        limit: The highest rate to try.
        precision: The search ends when the lowest failing rate is at most this share above the highest met.
        repeats: How often the answer is tried again; if it fails once, the search goes on below it.
    """
    trials: list[Trial] = []

    def met(rate: float) -> bool:
        trials.append(measure(rate))
        if trials[-1].limited:  # Perhaps something else kept the machine busy just then.
            trials.append(measure(rate))
        return trials[-1].met

    good, bad = 0.0, math.inf
    rate = min(start, limit)
    while bad / max(good, LOWEST_RATE) > 1 + precision and good < limit:
        if met(rate):
            good = rate
        else:
            bad = rate
        if bad < LOWEST_RATE:
            break
        if math.isinf(bad):
            rate = min(rate * 2, limit)
        elif good == 0:
            rate = bad / 2
        else:
            rate = _between(good, bad)
    while good:
        if all(met(good) for _ in range(repeats)):
            break
        bad, good = good, good / (1 + precision) if good > LOWEST_RATE else 0.0
    failed = [trial for trial in trials if not trial.met and trial.rate > good]
    lowest = min(failed, key=lambda trial: trial.rate, default=None)
    return Answer(
        trials=tuple(trials),
        highest=good or None,
        failing=lowest.rate if lowest else None,
        limited=lowest is not None and lowest.limited,
    )


def trial(
    plan: Plan,
    rate: float,
    objectives: Sequence[Objective],
    out: Path,
    *,
    windows: int,
    window_seconds: float,
    poisson: bool = False,
    observer: Observer | None = None,
    command_line: str = "",
) -> Trial:
    """Tries one rate.

    Args:
        plan: What to send; its schedule and length are replaced.
        rate: Requests a second.
        objectives: What has to be met.
        out: Results file of the trial.
        windows: Number of windows.
        window_seconds: Length of each.
        poisson: Whether requests come as a Poisson process.
        observer: Is told how it goes.
        command_line: Kept in the results file.

    Raises:
        AttackError: The server did not answer, or the trial was interrupted.
    """
    seconds = windows * window_seconds
    schedule = constant(rate, seconds=seconds, warm_up_seconds=plan.warm_up_seconds, poisson=poisson, seed=plan.seed)
    timed = replace(plan, schedule=schedule, in_flight=0, seconds=seconds, count=None)
    if partial := attack(timed, out, observer=observer, command_line=command_line):
        raise AttackError(f"the trial at {rate:g}/s is partial: {partial}")
    within = goodput_bound(list(objectives))
    whole = summarize([out], within_seconds=within)
    parts = [
        summarize([out], within_seconds=within, between_seconds=(start * window_seconds, (start + 1) * window_seconds))
        for start in range(windows)
    ]
    return judge(rate, whole, parts, objectives)


def judge(rate: float, whole: Summary, windows: Sequence[Summary], objectives: Sequence[Objective]) -> Trial:
    """Returns what a trial comes to, from its summary and those of its windows."""
    verdicts = judge_objectives(list(objectives), whole)
    met = sum(all(verdict.met for verdict in judge_objectives(list(objectives), window)) for window in windows)
    troubles = [verdict.line() for verdict in verdicts if not verdict.met]
    if met < len(windows) - 1:
        troubles.append(f"met in {met} of {len(windows)} windows only")
    if whole.achieved_rate < KEPT_SHARE * whole.offered_rate:
        troubles.append(f"not stable: {whole.achieved_rate:,.1f}/s answered of {whole.offered_rate:,.1f}/s offered")
    first, last = (window.total.ok.latency.percentile(50) for window in (windows[0], windows[-1]))
    if last > GROWTH * first + GROWTH_SECONDS:
        troubles.append(f"not stable: the median grows from {first * 1e3:.1f} to {last * 1e3:.1f} ms")
    return Trial(
        rate=rate,
        summary=whole,
        verdicts=tuple(verdicts),
        windows_met=met,
        windows=len(windows),
        troubles=tuple(troubles),
        saturated=whole.generator.saturated,
    )


def check_objectives(objectives: Sequence[Objective]) -> None:
    """Raises UsageError unless there is an objective that a high rate can miss."""
    if not objectives:
        raise UsageError("name at least one --objective, such as 'p99<50ms'")


def lower_bound(met: int, windows: int) -> float:
    """Returns the lower end of the 95 % interval of a share (Wilson 1927)."""
    if not windows:
        return 0.0
    share, z2 = met / windows, CONFIDENCE_Z**2
    centre = share + z2 / (2 * windows)
    spread = CONFIDENCE_Z * math.sqrt(share * (1 - share) / windows + z2 / (4 * windows**2))
    return (centre - spread) / (1 + z2 / windows)


def _between(good: float, bad: float) -> float:
    """Returns the middle, to three digits: rates that can be said aloud."""
    middle = (good + bad) / 2
    digits = 2 - math.floor(math.log10(middle))
    rounded = round(middle, digits)
    return rounded if good < rounded < bad else middle
