"""Tries one rate: does a server meet objectives at it?

A trial meets the objectives if the whole trial and all windows but at most one do, and if it is stable: a server that
is slower than the rate may meet a latency objective for a while, as its queue grows.
"""

from collections.abc import Sequence
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


def _backlog(whole: Summary) -> tuple[float, int]:
    """Returns the load in flight at the end, in seconds, and the whole seconds of the trial."""
    timeline = whole.timeline
    seconds = max(1, int(whole.runs[0].header["plan"]["seconds"]))
    sent, ended = (float(counts[:seconds].sum()) for counts in (timeline.planned, timeline.ended))
    return (sent - ended) / (sent / seconds) if sent else 0.0, seconds
