"""Finds the highest rate that meets given objectives: doubles it until they fail, bisects, and confirms the result."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from loadtest.digits import four_digits
from loadtest.errors import AttackError
from loadtest.trial import Trial

CONFIDENCE = 0.95
LOWEST_RATE = 0.1
MOST_STEPS_DOWN = 5
"""Limit of lower rates to try when a result is not confirmed."""


@dataclass(frozen=True)
class Answer:
    """The result of a search.

    Attributes:
        trials: Every trial, in order.
        highest: Highest rate that always met the objectives; `None` without one.
        failing: Lowest rate above it that failed; `None` if none failed.
        interrupted: Whether Ctrl-C ended the search: `highest` was met at least once, but is not confirmed.
        trouble: Why the search ended early in another way, such as a server that has died; empty if it did not.
        limited: Whether the generator, rather than the server, ended the search.
    """

    trials: tuple[Trial, ...]
    highest: float | None
    failing: float | None
    limited: bool
    interrupted: bool = False
    trouble: str = ""

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

    @property
    def sure(self) -> bool:
        """Whether a rate was found and confirmed, and the server is the limit above it."""
        return not (self.limited or self.interrupted or self.trouble) and self.highest is not None

    def line(self) -> str:
        """Returns the answer in two sentences."""
        if self.interrupted or self.trouble:
            found = "no rate" if self.highest is None else f"{four_digits(self.highest)} requests a second"
            why = f"a trial failed ({self.trouble})" if self.trouble else "interrupted before the confirmation"
            return f"PARTIAL: {why}; {found} met the objectives."
        if self.highest is None:
            return "No rate met the objectives" + (": the generator is the limit." if self.limited else ".")
        met, trials = self.confirmed
        if self.failing is None:
            above = "no higher rate was tried"
        else:
            above = "the generator is the limit above it" if self.limited else f"{four_digits(self.failing)}/s does not"
        return (
            f"{four_digits(self.highest)} requests a second meet the objectives; {above}. {met} of {trials} trials met "
            f"them: with 95 % confidence, at least {self.confidence:.0%} of all such trials do."
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
    disturbance of the machine does not decide the search. Ctrl-C, or a later trial that fails, ends the search with the
    result of its trials so far.

    Args:
        measure: Tries a rate.
        start: The first rate.
        limit: The highest rate to try.
        precision: The search ends when the lowest failing rate is at most this share above the highest met rate.
        repeats: Confirming trials of the result; if one fails, the search continues below it.

    Raises:
        AttackError: The first trial failed.
    """
    trials: list[Trial] = []

    def met(rate: float) -> bool:
        trials.append(measure(rate))
        if not trials[-1].met and trials[-1].doubtful:
            trials.append(measure(rate))
        return trials[-1].met

    try:
        highest = _highest_met(met, start=start, limit=limit, precision=precision, repeats=repeats)
    except (KeyboardInterrupt, AttackError) as stop:
        trouble = str(stop) if isinstance(stop, AttackError) else ""
        if trouble and not trials:
            raise
        best = max((each.rate for each in trials if each.met), default=0.0)
        return replace(_answer(trials, highest=best), interrupted=not trouble, trouble=trouble)
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
