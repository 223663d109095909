"""The table of a run's environment and plan."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from loadtest.analysis.summary import Summary
from loadtest.reports.table import Table


def environment_table(summary: Summary) -> Table:
    """Returns the environment and the plan of the first run, without what was not set, and the number of runs."""
    run = summary.runs[0]
    rows = [("results file", str(run.path))]
    if len(summary.runs) > 1:
        rows.insert(0, ("runs", f"{len(summary.runs)}; this table shows the first"))
    for part in (run.header["environment"], _with_all_headers(run.header["plan"])):
        rows += [
            (name.replace("_", " ").replace("cpu", "CPU"), _FORMS.get(name, _plain)(value))
            for name, value in part.items()
            if _is_set(value)
        ]
    return Table("Environment and plan", ("", ""), rows)


def _with_all_headers(plan: dict[str, Any]) -> dict[str, Any]:
    """Returns a plan whose `headers` are those with placeholders and those of the target, which loses its own."""
    target = dict(plan.get("target", {}))
    return {**plan, "target": target, "headers": [*target.pop("headers", []), *plan.get("headers", [])]}


def _is_set(value: Any) -> bool:
    """Returns whether a value says anything; 0 does."""
    return value not in (None, "", [], {}) and value is not False


def _plain(value: Any) -> str:
    """Returns a readable form of a value in a run's header."""
    match value:
        case bool():
            return "yes" if value else "no"
        case dict():
            known = {str(key).replace("_", " "): each for key, each in value.items() if _is_set(each)}
            return ", ".join(f"{key} {_plain(each)}" for key, each in known.items())
        case list():
            return ", ".join(f"({_plain(each)})" if isinstance(each, list | dict) else _plain(each) for each in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _rates(segments: Sequence[tuple[float | None, float, float]]) -> str:
    """Returns the rates of a schedule's segments, each with its seconds; None seconds have no end."""
    return ", ".join(
        f"{rate:g}/s"
        + (f" to {rate_to:g}/s" if rate_to != rate else "")
        + (f" for {seconds:g} s" if seconds is not None else "")
        for seconds, rate, rate_to in segments
    )


def _calls(calls: Sequence[dict[str, Any]]) -> str:
    """Returns the calls of a mix: each method, and what differs from the defaults."""
    weights = sum(call.get("weight", 1.0) for call in calls)
    return "; ".join(
        str(call["method"])
        + (f", {call.get('weight', 1.0) / weights:.1%} of the calls" if len(calls) > 1 else "")
        + (f", {each} queries each" if (each := call.get("queries_per_call", 1)) > 1 else "")
        + (f", payload {json.dumps(payload, ensure_ascii=False)}" if (payload := call.get("payload")) else "")
        for call in calls
    )


_FORMS: dict[str, Callable[[Any], str]] = {"rates": _rates, "calls": _calls}
