"""Objectives such as `p99<50ms` or `errors<0.1%`: parsed once, checked against summaries.

`FIGURES` lists every figure that an objective can name.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from loadtest.analysis.latency import Latencies
from loadtest.analysis.summary import Summary
from loadtest.errors import UsageError
from loadtest.stages import STAGES

_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "%": 0.01, "": 1.0}
_GRAMMAR = re.compile(r"\s*([a-z_]+\.)?([a-z_]+|p\d+(?:\.\d+)?)\s*(<=|>=|<|>)\s*(\d+(?:\.\d+)?)\s*(us|ms|s|%|)\s*")
_OF_CALL = re.compile(r"\s*(?P<call>\S.*?)\.(?P<rest>(?:[a-z_]+\.)?(?:[a-z_]+|p\d+(?:\.\d+)?)\s*[<>].*)")
_TESTS: dict[str, Callable[[float, float], bool]] = {
    "<": lambda value, bound: value < bound,
    "<=": lambda value, bound: value <= bound,
    ">": lambda value, bound: value > bound,
    ">=": lambda value, bound: value >= bound,
}


@dataclass(frozen=True)
class Figure:
    """A figure of a summary that an objective can name.

    Attributes:
        unit: `seconds`, `share` or `number`.
        meaning: Its description, for the documentation.
        of: Returns the figure of a summary; NaN if it has none.
    """

    unit: str
    meaning: str
    of: Callable[[Summary], float]


FIGURES: dict[str, Figure] = {
    "errors": Figure(
        "share",
        "requests that did not succeed, of those planned: failed, also inside an OK answer, refused, unanswered or "
        "dropped",
        lambda summary: summary.error_share,
    ),
    "refused": Figure(
        "share", "requests that the server refused (RESOURCE_EXHAUSTED, also inside an OK answer), of those planned",
        lambda summary: _share(summary.total.refused.count, summary.planned),
    ),
    "unanswered": Figure(
        "share", "requests that were sent and not answered when the run ended, of those planned",
        lambda summary: _share(summary.unanswered, summary.planned),
    ),
    "dropped": Figure(
        "share", "requests that were planned but not sent, of those planned",
        lambda summary: _share(summary.dropped, summary.planned),
    ),
    "failed_parts": Figure(
        "share", "parts of OK answers that carry an error, of those that can",
        lambda summary: _share(summary.total.failed_parts, summary.total.parts),
    ),
    "late": Figure(
        "share", "requests that were sent late, of those sent", lambda summary: summary.generator.late_share
    ),
    "cached": Figure(
        "share", "answers that the server did not encode, of those with stages: the query's vector was cached, or the "
        "mode is lexical",
        lambda summary: summary.total.cached_share,
    ),
    "offered": Figure("number", "planned requests a second", lambda summary: summary.offered_rate),
    "rate": Figure("number", "successes a second", lambda summary: summary.achieved_rate),
    "goodput": Figure("number", "successes a second within the latency limit", lambda summary: summary.goodput_rate),
    "messages": Figure(
        "number", "messages a second in the answers of successful streams",
        lambda summary: summary.total.streams.received / (summary.seconds or math.nan),
    ),
    "recall": Figure(
        "share", "mean recall@k of the answers to labelled queries", lambda summary: summary.quality.recall
    ),
    "ndcg": Figure("share", "mean nDCG@k of the answers to labelled queries", lambda summary: summary.quality.ndcg),
    "failed_checks": Figure(
        "share", "answers that failed a check (`--check`), of those checked",
        lambda summary: _share(summary.total.checks.failed, summary.total.checks.answers, empty=math.nan),
    ),
    "different": Figure(
        "share", "answers that differ from the reference answer, of those compared",
        lambda summary: _share(summary.quality.different, summary.quality.compared, empty=math.nan),
    ),
}  # fmt: skip


def _of_stage(stage: str) -> Callable[[Summary], Latencies]:
    return lambda summary: summary.total.stages[stage]


DISTRIBUTIONS: dict[str, tuple[str, Callable[[Summary], Latencies]]] = {
    "": ("latency of successes, from the planned time", lambda summary: summary.total.ok.latency),
    "service": ("service time of successes, from the actual send", lambda summary: summary.total.ok.service),
    "refused": ("latency of refused calls, from the planned time", lambda summary: summary.total.refused.latency),
    **{stage: (f"the server's time in {stage}", _of_stage(stage)) for stage in STAGES},
    "server": ("the server's time in all stages", lambda summary: summary.total.server),
    "first_message": (
        "from the send to the first message of successful streams",
        lambda summary: summary.total.streams.first,
    ),
    "gap": ("mean time between two messages of each successful stream", lambda summary: summary.total.streams.between),
    "longest_gap": (
        "longest time between two messages of each successful stream",
        lambda summary: summary.total.streams.longest,
    ),
}
"""Distributions that have percentiles, `mean` and `max`: `p99`, `service.p99`, `encode.mean` …"""


OF_ALL_CALLS = ("dropped", "late", "offered", "recall", "ndcg", "different")
"""Figures that one call of a mix does not have."""


@dataclass(frozen=True)
class Objective:
    """One objective.

    Attributes:
        text: As the user wrote it.
        figure: Returns the value to compare with the bound; NaN if a summary has none.
        comparison: `<`, `<=`, `>` or `>=`.
        bound: In seconds, as a share, or a number.
        unit: `seconds`, `share` or `number`.
        name: The figure's name, as in `p99` or `refused.p99`.
        none_is_met: Whether a missing value meets it: having no refused calls is best.
        is_latency: Whether it is an upper bound on the latency from the planned time, of all calls.
        call: The call of a mix that it is about, as the user wrote it; empty for all.
    """

    text: str
    figure: Callable[[Summary], float]
    comparison: str
    bound: float
    unit: str
    is_latency: bool
    name: str = ""
    none_is_met: bool = False
    call: str = ""

    def met(self, value: float) -> bool:
        """Returns whether a value meets the objective; NaN does not."""
        if math.isnan(value):
            return self.none_is_met
        return _TESTS[self.comparison](value, self.bound)


@dataclass(frozen=True)
class Verdict:
    """An objective and its value in a summary."""

    objective: Objective
    value: float

    @property
    def met(self) -> bool:
        """Whether it was met."""
        return self.objective.met(self.value)

    @property
    def written(self) -> str:
        """The value with its unit."""
        return _written(self.value, self.objective.unit)

    def line(self) -> str:
        """Returns the verdict in one line, such as `not met: p99<50ms (63.1 ms)`."""
        return f"{'met' if self.met else 'not met'}: {self.objective.text} ({self.written})"


def parse_objective(text: str) -> Objective:
    """Returns the objective that a text such as `p99<50ms` states.

    Raises:
        UsageError: The text is no objective; the message lists the figures.
    """
    match = _GRAMMAR.fullmatch(text)
    of_call = _OF_CALL.fullmatch(text)
    if of_call is not None and (match is None or of_call["call"] not in DISTRIBUTIONS):
        return _of_call(text, of_call["call"].strip(), parse_objective(of_call["rest"]))
    if match is None:
        raise UsageError(f"{text!r} is no objective; write for example p99<50ms or errors<0.1%")
    prefix, name, comparison, number, unit = match.groups(default="")
    prefix = prefix.removesuffix(".")
    figure = FIGURES.get(name) if not prefix else None
    if figure is not None:
        if unit not in {"share": ("%", ""), "number": ("",)}[figure.unit]:
            raise UsageError(f"{text!r}: {name} is a {figure.unit} and has no unit {unit}")
        return Objective(
            text, figure.of, comparison, float(number) * _UNITS[unit], figure.unit, is_latency=False, name=name
        )
    statistic = _statistic(name)
    if statistic is None or prefix not in DISTRIBUTIONS:
        known = ", ".join([*FIGURES, "p50, p99.9 (any percentile), mean, max"])
        prefixes = ", ".join(filter(None, DISTRIBUTIONS))
        raise UsageError(
            f"{text!r}: there is no figure {prefix}{'.' if prefix else ''}{name}; the figures are {known}. "
            f"Percentiles, mean and max also exist for {prefixes}, as in service.p99"
        )
    if unit not in ("us", "ms", "s"):
        raise UsageError(f"{text!r}: a latency needs a unit: us, ms or s")
    _, distribution = DISTRIBUTIONS[prefix]
    return Objective(
        text,
        lambda summary: statistic(distribution(summary)),
        comparison,
        float(number) * _UNITS[unit],
        "seconds",
        is_latency=not prefix and comparison.startswith("<"),
        name=f"{prefix}.{name}" if prefix else name,
        none_is_met=prefix == "refused" and comparison.startswith("<"),
    )


def _of_call(text: str, call: str, objective: Objective) -> Objective:
    """Returns an objective for one call of a mix, such as `Search.p99<50ms`."""
    if objective.name in OF_ALL_CALLS:
        raise UsageError(f"{text!r}: {objective.name} exists for all calls together, not for one")
    if objective.call:
        raise UsageError(f"{text!r} is no objective; write for example {call}.p99<50ms")
    figure = objective.figure
    return replace(
        objective, text=text, call=call, is_latency=False, figure=lambda summary: figure(summary.of_call(call))
    )


def judge_objectives(objectives: list[Objective], summary: Summary) -> list[Verdict]:
    """Returns the verdict on each objective for a summary."""
    return [Verdict(objective, objective.figure(summary)) for objective in objectives]


def goodput_bound(objectives: list[Objective]) -> float | None:
    """Returns the tightest latency objective, which bounds goodput; `None` without one."""
    return min((objective.bound for objective in objectives if objective.is_latency), default=None)


def _statistic(name: str) -> Callable[[Latencies], float] | None:
    if name == "mean":
        return lambda latencies: latencies.mean
    if name == "max":
        return lambda latencies: latencies.percentile(100)
    if name.startswith("p") and name[1:2].isdigit() and float(name[1:]) <= 100:
        return lambda latencies: latencies.percentile(float(name[1:]))
    return None


def _share(part: int, whole: int, *, empty: float = 0.0) -> float:
    return part / whole if whole else empty


def _written(value: float, unit: str) -> str:
    if math.isnan(value):
        return "no value"
    return {"seconds": f"{value * 1e3:.4g} ms", "share": f"{value:.3%}", "number": f"{value:.4g}"}[unit]
