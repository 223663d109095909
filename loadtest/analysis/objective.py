"""Objectives such as `p99<50ms` or `errors<0.1%`: parsed once, checked against summaries."""

import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from loadtest.analysis.figures import DISTRIBUTIONS, FIGURES, OF_ALL_CALLS
from loadtest.analysis.latency import Latencies
from loadtest.analysis.summary import Summary
from loadtest.digits import four_digits
from loadtest.errors import UsageError

_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "%": 0.01, "/s": 1.0, "": 1.0}
_GRAMMAR = re.compile(r"\s*([a-z_]+\.)?([a-z_]+|p\d+(?:\.\d+)?)\s*(<=|>=|<|>)\s*(\d+(?:\.\d+)?)\s*(us|ms|s|%|/s|)\s*")
_OF_CALL = re.compile(r"\s*(?P<call>\S.*?)\.(?P<rest>(?:[a-z_]+\.)?(?:[a-z_]+|p\d+(?:\.\d+)?)\s*[<>].*)")
_TESTS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


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
        UsageError: The text is not an objective; the message lists the figures.
    """
    match = _GRAMMAR.fullmatch(text)
    of_call = _OF_CALL.fullmatch(text)
    if of_call is not None and (match is None or of_call["call"] not in DISTRIBUTIONS):
        return _of_call(text, of_call["call"].strip(), parse_objective(of_call["rest"]))
    if match is None:
        raise UsageError(f"{text!r} is not an objective; write, for example, p99<50ms or errors<0.1%")
    prefix, name, comparison, number, unit = match.groups(default="")
    prefix = prefix.removesuffix(".")
    figure = FIGURES.get(name) if not prefix else None
    if figure is not None:
        if unit not in {"share": ("%", ""), "number": ("", "/s")}[figure.unit]:
            raise UsageError(f"{text!r}: {name} is a {figure.unit} and has no unit {unit}")
        bound = float(number) * _UNITS[unit]
        if figure.unit == "share" and (bound > 1 or (bound == 1 and comparison in "<=" and not unit)):
            # Every run would meet errors<1, although its author meant one percent, or one request.
            raise UsageError(f"{text!r}: {name} is a share, from 0 to 1: write {name}{comparison}{number}% for percent")
        return Objective(text, figure.of, comparison, bound, figure.unit, is_latency=False, name=name)
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
        raise UsageError(f"{text!r} is not an objective; write, for example, {call}.p99<50ms")
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


def _written(value: float, unit: str) -> str:
    if math.isnan(value):
        return "no value"
    return {"seconds": f"{four_digits(value * 1e3)} ms", "share": f"{value:.3%}", "number": four_digits(value)}[unit]
