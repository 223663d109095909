"""Finds the highest rate that meets given objectives: doubles it until they fail, bisects, and confirms the result.

A trial meets the objectives if the whole trial and all windows but at most one do, and if it is stable: a server that
is slower than the rate may meet a latency objective for a while, as its queue grows.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from loadtest.analysis.objective import Objective, goodput_bound, judge_objectives
from loadtest.analysis.summary import Summary, summarize
from loadtest.attack import Observer, attack
from loadtest.errors import AttackError
from loadtest.plan import Plan
from loadtest.requests.unique import first_number
from loadtest.schedule import constant
from loadtest.target import Target

BACKLOG_SHARE = 0.02
"""A stable server may have a backlog of its usual calls in flight, plus this share of a trial."""

GROWTH = 1.5
GROWTH_SECONDS = 0.001
"""Median of the last window: at most `GROWTH` times that of the first, plus this."""

CONFIDENCE = 0.95
LOWEST_RATE = 0.1
MOST_STEPS_DOWN = 5
"""Limit of lower rates to try when a result is not confirmed."""


@dataclass(frozen=True)
class Trial:
    """One rate, tried once.

    Attributes:
        rate: Requests a second.
        summary: Its results.
        windows_met: Windows in which every objective was met.
        windows: Number of windows.
        troubles: Why the rate does not count as met; empty if it does.
        saturated: Whether the generator was saturated.
    """

    rate: float
    summary: Summary
    windows_met: int
    windows: int
    troubles: tuple[str, ...]
    saturated: bool

    @property
    def met(self) -> bool:
        """Whether the rate met every objective, even if the generator was saturated: that only adds latency."""
        return not self.troubles

    @property
    def limited(self) -> bool:
        """Whether it failed with a saturated generator, which says nothing about a server that answers."""
        return self.saturated and not self.met and not self.summary.server_failed

    @property
    def doubtful(self) -> bool:
        """Whether it may have failed by chance: the generator was saturated, or some of its windows were met."""
        return self.saturated or self.windows_met > 0


@dataclass(frozen=True)
class Answer:
    """The result of a search.

    Attributes:
        trials: Every trial, in order.
        highest: Highest rate that always met the objectives; `None` without one.
        failing: Lowest rate above it that failed; `None` if none failed.
        interrupted: Whether Ctrl-C ended the search: `highest` was met at least once, but is not confirmed.
        limited: Whether the generator, rather than the server, ended the search.
    """

    trials: tuple[Trial, ...]
    highest: float | None
    failing: float | None
    limited: bool
    interrupted: bool = False

    @property
    def at_highest(self) -> Trial | None:
        """The last trial at the highest rate; `None` without one."""
        return next((trial for trial in reversed(self.trials) if trial.rate == self.highest), None)

    @property
    def confirmed(self) -> tuple[int, int]:
        """Number of met trials, and of all trials, at the highest rate, without those that the generator limited."""
        there = [trial for trial in self.trials if trial.rate == self.highest and not trial.limited]
        return sum(trial.met for trial in there), len(there)

    @property
    def confidence(self) -> float:
        """The least share of trials that meet the objectives at the highest rate, with 95 % confidence."""
        return lower_bound(*self.confirmed)

    def line(self) -> str:
        """Returns the answer in two sentences."""
        if self.interrupted:
            found = "no rate" if self.highest is None else f"{self.highest:,.6g} requests a second"
            return f"PARTIAL: interrupted before the confirmation; {found} met the objectives."
        if self.highest is None:
            return "No rate met the objectives" + (": the generator is the limit." if self.limited else ".")
        met, trials = self.confirmed
        if self.failing is None:
            above = "no higher rate was tried"
        else:
            above = "the generator is the limit above it" if self.limited else f"{self.failing:,.6g}/s does not"
        return (
            f"{self.highest:,.6g} requests a second meet the objectives; {above}. {met} of {trials} trials met them: "
            f"with 95 % confidence, at least {self.confidence:.0%} of all such trials do."
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

    A trial that failed narrowly, or with a saturated generator, is repeated once before it counts, so that a short
    disturbance of the machine does not decide the search. Ctrl-C ends the search with the result of its trials so far.

    Args:
        measure: Tries a rate.
        start: The first rate.
        limit: The highest rate to try.
        precision: The search ends when the lowest failing rate is at most this share above the highest met rate.
        repeats: Confirming trials of the result; if one fails, the search continues below it.
    """
    trials: list[Trial] = []

    def met(rate: float) -> bool:
        trials.append(measure(rate))
        if not trials[-1].met and trials[-1].doubtful:
            trials.append(measure(rate))
        return trials[-1].met

    try:
        highest = _highest_met(met, start=start, limit=limit, precision=precision, repeats=repeats)
    except KeyboardInterrupt:
        best = max((each.rate for each in trials if each.met), default=0.0)
        return replace(_answer(trials, highest=best), interrupted=True)
    return _answer(trials, highest=highest)


def _highest_met(met: Callable[[float], bool], *, start: float, limit: float, precision: float, repeats: int) -> float:
    """Returns the highest confirmed rate, to the precision; 0 without one."""
    good, bad = 0.0, math.inf
    rate = min(start, limit)
    while bad / max(good, LOWEST_RATE) > 1 + precision and good < limit:
        if met(rate):
            good = rate
        else:
            bad = rate
        if bad < LOWEST_RATE:
            break
        rate = _next_rate(good, bad, limit=limit)
    for _ in range(MOST_STEPS_DOWN):
        if not good or all(met(good) for _ in range(repeats)):
            return good
        good /= 1 + precision
    return 0.0


def _answer(trials: Sequence[Trial], *, highest: float) -> Answer:
    """Returns the answer of trials whose highest met rate is `highest`; 0 for none."""
    failed = [each for each in trials if not each.met and each.rate > highest]
    lowest = min(failed, key=lambda each: each.rate, default=None)
    return Answer(
        trials=tuple(trials),
        highest=highest or None,
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
    workers: Sequence[Target] = (),
    observer: Observer | None = None,
    command_line: str = "",
) -> Trial:
    """Tries one rate, in requests a second, for `windows` windows; writes the results to `out`, as `attack` does.

    The trial replaces the plan's schedule and length; `poisson` sends a Poisson process.

    Raises:
        AttackError: The server did not answer, or the trial is partial.
        KeyboardInterrupt: Ctrl-C ended it.
    """
    seconds = windows * window_seconds
    schedule = constant(rate, seconds=seconds, warm_up_seconds=plan.warm_up_seconds, poisson=poisson, seed=plan.seed)
    # A trial must not repeat the unique queries of the trials before it: the server has cached them.
    unique_from = None if plan.unique_from is None else first_number()
    timed = replace(plan, schedule=schedule, in_flight=0, seconds=seconds, count=None, unique_from=unique_from)
    ending = attack(timed, out, workers=workers, observer=observer, command_line=command_line)
    if ending.interrupted:
        raise KeyboardInterrupt
    if ending.partial:
        raise AttackError(f"the trial at {rate:g}/s is partial: {ending.partial}")
    within = goodput_bound(list(objectives))
    whole = summarize([out], within_seconds=within)
    parts = [
        summarize([out], within_seconds=within, between_seconds=(start * window_seconds, (start + 1) * window_seconds))
        for start in range(windows)
    ]
    return judge(rate, whole, parts, objectives)


def judge(rate: float, whole: Summary, windows: Sequence[Summary], objectives: Sequence[Objective]) -> Trial:
    """Returns the result of a trial from its summary and those of its windows."""
    verdicts = judge_objectives(list(objectives), whole)
    met = sum(all(verdict.met for verdict in judge_objectives(list(objectives), window)) for window in windows)
    troubles = [verdict.line() for verdict in verdicts if not verdict.met]
    if met < len(windows) - 1:
        troubles.append(f"met in only {met} of {len(windows)} windows")
    if whole.server_failed and not any(each.name == "errors" for each in objectives):
        troubles.append(f"most requests failed: {whole.error_share:.1%} did not succeed")
    first, last = (window.total.ok.latency.percentile(50) for window in (windows[0], windows[-1]))
    backlog_seconds, seconds = _backlog(whole)
    if backlog_seconds > GROWTH * first + BACKLOG_SHARE * seconds:
        troubles.append(f"not stable: a backlog of {backlog_seconds * 1e3:,.0f} ms after {seconds} s")
    if last > GROWTH * first + GROWTH_SECONDS:
        troubles.append(f"not stable: the median grows from {first * 1e3:.1f} to {last * 1e3:.1f} ms")
    return Trial(
        rate=rate,
        summary=whole,
        windows_met=met,
        windows=len(windows),
        troubles=tuple(troubles),
        saturated=whole.generator.saturated,
    )


def lower_bound(met: int, trials: int) -> float:
    """Returns the lower bound of the probability that a trial meets the objectives, at the confidence `CONFIDENCE`.

    The exact one-sided bound of Clopper and Pearson (1934), found by bisection.
    """
    if not met:
        return 0.0
    low, high = 0.0, 1.0
    for _ in range(50):
        chance = (low + high) / 2
        tail = sum(math.comb(trials, k) * chance**k * (1 - chance) ** (trials - k) for k in range(met, trials + 1))
        low, high = (chance, high) if tail < 1 - CONFIDENCE else (low, chance)
    return low


def _backlog(whole: Summary) -> tuple[float, int]:
    """Returns the load in flight at the end, in seconds, and the whole seconds of the trial."""
    timeline = whole.timeline
    seconds = max(1, int(whole.runs[0].header["plan"]["seconds"]))
    sent, ended = (float(counts[:seconds].sum()) for counts in (timeline.planned, timeline.ended))
    return (sent - ended) / (sent / seconds) if sent else 0.0, seconds


def _next_rate(good: float, bad: float, *, limit: float) -> float:
    """Returns the rate to try when `good` is the highest met (0 for none) and `bad` the lowest not met."""
    if math.isinf(bad):
        return min(good * 2, limit)
    middle = (good + bad) / 2
    if not good:
        return middle
    # Three digits, for readable rates.
    digits = 2 - math.floor(math.log10(middle))
    rounded = round(middle, digits)
    return rounded if good < rounded < bad else middle
