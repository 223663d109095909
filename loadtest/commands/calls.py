"""The calls of the flags or of a mix, and a trial of each payload before the run."""

import argparse
from pathlib import Path

from loadtest.commands.mix import MixRow, read_mix
from loadtest.errors import UsageError
from loadtest.plan import Call, Plan
from loadtest.requests.checks import AnswerChecks
from loadtest.requests.headers import RequestHeaders
from loadtest.requests.method import find_method
from loadtest.requests.payload import Payload, parse_template
from loadtest.requests.queries import TEXT_FIELDS
from loadtest.target import Target


async def calls_of(options: argparse.Namespace, target: Target) -> tuple[Call, ...]:
    """Returns the calls of the mix, or the one call of the flags.

    Raises:
        LoadtestError: A flag or the mix is wrong, or the server's reflection fails.
    """
    if options.mix is not None:
        if options.data is not None:
            raise UsageError("with --mix, the payload is `data` in the file")
        rows = read_mix(options.mix)
    else:
        data = None if options.data is None else parse_template(options.data, where="--data")
        rows = [MixRow(call=options.call, data=data)]
    calls = []
    for row in rows:
        method = await find_method(
            row.call,
            target=target,
            proto=options.proto,
            import_paths=tuple(options.import_path),
            protoset=options.protoset,
        )
        calls.append(
            Call(
                method=method,
                name=row.name,
                weight=row.weight,
                template=row.data,
                queries_per_call=options.queries_per_call if row.queries_per_call is None else row.queries_per_call,
                checks=(*options.checks, *([row.check] if isinstance(row.check, str) else row.check)),
                headers=tuple(row.headers.items()),
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
        headers = RequestHeaders((*plan.headers, *call.headers), seed=plan.seed)
        for query in plan.queries if plan.headers or call.headers else ():
            headers.render(query, 0)
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
