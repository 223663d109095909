"""The highest rate that meets given objectives: doubled until they fail, bisected, and confirmed.

A rate meets them when a trial does as a whole, when at most one of its windows does not, and when it is stable: a
server that is slower than the rate may still meet a latency for a while, with a queue that grows.
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
from loadtest.schedule import constant

BEHIND_SHARE = 0.02
"""A stable server may be behind by what it always has in flight, and by this share of a trial."""

GROWTH = 1.5
GROWTH_SECONDS = 0.001
"""The median of the last window may be this many times that of the first one, and a millisecond more."""

CONFIDENCE = 0.95
LOWEST_RATE = 0.1
MOST_STEPS_DOWN = 5
"""How often an answer that is not confirmed is given up for a lower one."""


@dataclass(frozen=True)
class Trial:
    """One rate, tried once.

    Attributes:
        rate: Requests a second.
        summary: Its results.
        windows_met: Windows in which every objective was met.
        windows: Number of windows.
        troubles: Why it does not count as met; empty if it does.
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
        """Whether the rate met every objective; a late generator only makes latencies longer, so it may have been."""
        return not self.troubles

    @property
    def limited(self) -> bool:
        """Whether it was not met with a saturated generator, which says nothing about the server."""
        return self.saturated and not self.met

    @property
    def doubtful(self) -> bool:
        """Whether it may have failed by chance: the generator was saturated, or some of its windows were met."""
        return self.saturated or self.windows_met > 0


@dataclass(frozen=True)
class Answer:
    """What a search found.

    Attributes:
        trials: Every trial, in order.
        highest: Highest rate that met the objectives every time; `None` if none did.
        failing: Lowest rate above it that did not; `None` if none failed.
        interrupted: Whether Ctrl-C ended the search: `highest` was met once at least, and is not confirmed.
        limited: Whether the generator, rather than the server, ended the search.
    """

    trials: tuple[Trial, ...]
    highest: float | None
    failing: float | None
    limited: bool
    interrupted: bool = False

    @property
    def confirmed(self) -> tuple[int, int]:
        """Trials that met every objective at the highest rate, and trials of it; spoilt ones aside."""
        there = [trial for trial in self.trials if trial.rate == self.highest and not trial.limited]
        return sum(trial.met for trial in there), len(there)

    @property
    def confidence(self) -> float:
        """The share of trials that meet the objectives at the highest rate with 95 % confidence, at least."""
        return lower_bound(*self.confirmed)

    def line(self) -> str:
        """Returns the answer in two sentences."""
        if self.interrupted:
            met_once = (
                "no rate was met" if self.highest is None else f"{self.highest:,.6g} requests a second were met once"
            )
            return f"PARTIAL: interrupted; until then {met_once}."
        if self.highest is None:
            return "No rate met the objectives" + (": the generator is the limit." if self.limited else ".")
        met, trials = self.confirmed
        if self.failing is None:
            above = "no higher rate was asked for"
        else:
            above = "the generator is the limit above it" if self.limited else f"not at {self.failing:,.6g}/s"
        return (
            f"{self.highest:,.6g} requests a second meet the objectives, {above}. They were met in {met} of {trials} "
            f"trials of it: with 95 % confidence, in at least {self.confidence:.0%} of all such trials."
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

    A trial that failed by little, or with a saturated generator, is tried once more before it counts: what kept the
    machine busy for a moment must not decide the whole search. Ctrl-C ends it with what the trials until then say.

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
    """Returns the highest rate that is met, to the precision and as often as it has to be; 0 if none is."""
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
    """Returns what trials say when that is the highest rate that is met; 0 if none is."""
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
    observer: Observer | None = None,
    command_line: str = "",
) -> Trial:
    """Tries one rate, in requests a second, for some windows; writes the results to `out`, as `attack` does.

    The schedule and the length of the plan are replaced; `poisson` makes the requests a Poisson process.

    Raises:
        AttackError: The server did not answer, or the trial is partial.
        KeyboardInterrupt: Ctrl-C ended it.
    """
    seconds = windows * window_seconds
    schedule = constant(rate, seconds=seconds, warm_up_seconds=plan.warm_up_seconds, poisson=poisson, seed=plan.seed)
    timed = replace(plan, schedule=schedule, in_flight=0, seconds=seconds, count=None)
    ending = attack(timed, out, observer=observer, command_line=command_line)
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
    """Returns what a trial comes to, from its summary and those of its windows."""
    verdicts = judge_objectives(list(objectives), whole)
    met = sum(all(verdict.met for verdict in judge_objectives(list(objectives), window)) for window in windows)
    troubles = [verdict.line() for verdict in verdicts if not verdict.met]
    if met < len(windows) - 1:
        troubles.append(f"met in {met} of {len(windows)} windows only")
    first, last = (window.total.ok.latency.percentile(50) for window in (windows[0], windows[-1]))
    behind_seconds, seconds = _behind(whole)
    if behind_seconds > GROWTH * first + BEHIND_SHARE * seconds:
        troubles.append(f"not stable: {behind_seconds * 1e3:,.0f} ms behind after {seconds} s")
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
    """Returns the lowest chance of meeting with which this many trials are met in one case of twenty, or more.

    The exact one-sided bound of Clopper and Pearson (1934); found by halving.
    """
    if not met:
        return 0.0
    low, high = 0.0, 1.0
    for _ in range(50):
        chance = (low + high) / 2
        tail = sum(math.comb(trials, k) * chance**k * (1 - chance) ** (trials - k) for k in range(met, trials + 1))
        low, high = (chance, high) if tail < 1 - CONFIDENCE else (low, chance)
    return low


def _behind(whole: Summary) -> tuple[float, int]:
    """Returns how many seconds of load were in flight at the end, and after how many whole seconds that was."""
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
    # To three digits: rates that can be said aloud.
    digits = 2 - math.floor(math.log10(middle))
    rounded = round(middle, digits)
    return rounded if good < rounded < bad else middle
