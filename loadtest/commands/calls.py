"""The calls of the flags or of a mix, and a trial of each payload before the run."""

import argparse
import json
from pathlib import Path
from typing import Any

from loadtest.analysis.figures import DISTRIBUTIONS
from loadtest.errors import UsageError
from loadtest.plan import Call, Plan
from loadtest.requests.checks import AnswerChecks
from loadtest.requests.headers import RequestHeaders
from loadtest.requests.method import find_method
from loadtest.requests.payload import Payload, parse_template
from loadtest.requests.queries import TEXT_FIELDS
from loadtest.requests.rows import rows_of
from loadtest.target import Target

KEYS = {"call", "name", "weight", "data", "queries_per_call", "check"}
"""The keys of a row of a mix."""


async def calls_of(options: argparse.Namespace, target: Target) -> tuple[Call, ...]:
    """Returns the calls of the mix, or the one call of the flags.

    Raises:
        LoadtestError: A flag or the mix is wrong, or the server's reflection fails.
    """
    if options.mix is not None:
        if options.data is not None:
            raise UsageError("with --mix, the payload is `data` in the file")
        kinds = [_kind(where, value) for where, value in rows_of(options.mix)]
        if taken := {kind.get("name", "") for kind in kinds} & DISTRIBUTIONS.keys() - {""}:
            raise UsageError(f"{min(taken)!r} is a figure of objectives: give the call (--mix) another name")
        if not kinds:
            raise UsageError(f"{options.mix} has no calls")
    else:
        data: Any = None if options.data is None else parse_template(options.data, where="--data")
        kinds = [{"call": options.call, "data": data}]
    calls = []
    for kind in kinds:
        method = await find_method(
            kind["call"],
            target=target,
            proto=options.proto,
            import_paths=tuple(options.import_path),
            protoset=options.protoset,
        )
        calls.append(
            Call(
                method=method,
                name=kind.get("name", ""),
                weight=kind.get("weight", 1.0),
                template=kind.get("data"),
                queries_per_call=kind.get("queries_per_call", options.queries_per_call),
                checks=(*options.checks, *kind.get("check", ())),
            )
        )
    return tuple(calls)


def try_payloads(plan: Plan, *, rows_from: Path | None = None) -> None:
    """Makes the payload of every query once, to reject malformed ones early, and compiles the checks.

    Raises:
        UsageError: A payload or a check is wrong; the message names the row of `rows_from`, the queries' file.
    """
    for call in plan.calls:
        AnswerChecks(call.method.response_class, call.checks)
        payload = Payload(call.method, call.template, seed=plan.seed)
        first = plan.queries[0]
        if plan.unique_from is not None and not payload.template.fields & set(TEXT_FIELDS):
            raise UsageError(f"--unique changes {{{{query}}}}, which the payload of {call.method.name} does not have")
        if "query" in payload.template_of(first).fields and not first.fields and first.template is None:
            raise UsageError(f"{call.method.name} needs --queries; --call names another method")
        one, many = ([first] * size for size in (1, call.queries_per_call))
        if call.queries_per_call > 1 and payload.render(one, 0) == payload.render(many, 0):
            raise UsageError(f"{call.method.name} takes one query per call, not {call.queries_per_call}")
        varying = payload.template.fields or any(query.template is not None for query in plan.queries)
        for number, query in enumerate(plan.queries if varying else plan.queries[:1]):
            try:
                payload.render([query] * call.queries_per_call, 0)
            except UsageError as error:
                if rows_from is None or (not number and query.template is None):  # Without a row, --data is wrong.
                    raise
                raise UsageError(f"{rows_from}, row {number + 1}: {error}") from None
    headers = RequestHeaders(plan.headers, seed=plan.seed)
    for query in plan.queries if plan.headers else ():
        headers.render(query, 0)


def _kind(where: str, row: dict[str, Any] | str) -> dict[str, Any]:
    """Returns a row of a mix with its types checked."""
    kind = dict(row) if isinstance(row, dict) else {}
    try:
        kind["weight"] = float(kind.get("weight", 1.0))
        checks = kind.get("check", [])
        kind["check"] = checks = [checks] if isinstance(checks, str) else checks
        fits = isinstance(kind.get("call"), str) and isinstance(kind.get("name", ""), str)
        fits = fits and type(kind.get("queries_per_call", 1)) is int and not set(kind) - KEYS
        fits = fits and isinstance(checks, list) and all(isinstance(check, str) for check in checks)
    except (TypeError, ValueError, OverflowError):
        fits = False
    if not fits:
        raise UsageError(
            f"{where}: expected an object with call (a method) and optionally name, weight (a number), data (a "
            f"payload), queries_per_call (a number) and check (a condition, or a list), not "
            f"{json.dumps(row, ensure_ascii=False)[:300]}"
        )
    return kind
