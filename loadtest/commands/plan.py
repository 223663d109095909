"""The plan that flags make."""

import argparse
import asyncio
import math
from collections.abc import Sequence
from dataclasses import replace

from loadtest.analysis.objective import Objective
from loadtest.analysis.summary import call_names, calls_named
from loadtest.commands.calls import calls_of, try_payloads
from loadtest.commands.machines import workers_of
from loadtest.errors import UsageError
from loadtest.plan import Plan
from loadtest.reference import get_reference_answers
from loadtest.requests.answer import AnswerReader
from loadtest.requests.answer_errors import NONE, ErrorReader, check_paths
from loadtest.requests.labels import read_labels
from loadtest.requests.queries import Query, read_payloads, read_queries
from loadtest.requests.unique import first_number
from loadtest.schedule import Schedule
from loadtest.scrape import check_url
from loadtest.target import Target


def make_plan(
    options: argparse.Namespace,
    *,
    schedule: Schedule | None,
    in_flight: int = 0,
    seconds: float = math.inf,
    count: int | None = None,
) -> Plan:
    """Returns the plan of the flags, and checks every payload. The other arguments are those of `Plan`.

    Raises:
        LoadtestError: A flag or file is wrong, or a call for reflection or a reference answer fails.
    """
    headers = [_header(text) for text in options.header]
    target = _target(options, [pair for pair in headers if "{{" not in pair[1]])
    plan = Plan(
        target=target,
        queries=_queries(options),
        calls=asyncio.run(calls_of(options, target)),
        headers=tuple(pair for pair in headers if "{{" in pair[1]),
        order=options.order,
        zipf_exponent=options.zipf_exponent,
        unique_from=first_number() if options.unique else None,
        seed=options.seed,
        schedule=schedule,
        in_flight=in_flight,
        seconds=seconds,
        count=count,
        warm_up_seconds=0.0 if schedule and schedule.timestamps else options.warm_up,
        deadline_seconds=options.deadline,
        interval_seconds=options.message_interval,
        stream_seconds=options.stream_duration,
        max_in_flight=options.max_in_flight,
        late_seconds=options.late_after,
        processes=options.processes * max(1, len(workers_of(options))),
        labels=read_labels(options.qrels) if options.qrels else {},
        quality_at=options.quality_at,
        error_fields=_error_fields(options.error_field),
        metrics_url=options.metrics_url,
        metrics_token=options.metrics_token,
    )
    try_payloads(plan, rows_from=options.data_file or options.queries)
    _check_answers(plan)
    if plan.metrics_url:
        check_url(plan.metrics_url, token=plan.metrics_token)
    if options.check_answers:
        plan = replace(plan, reference_answers=asyncio.run(get_reference_answers(plan)))
    return plan


def check_objectives(objectives: Sequence[Objective], plan: Plan) -> None:
    """Raises UsageError if an objective needs a call, or a figure, that the plan does not have."""
    names = call_names(plan.described()["calls"])
    for objective in objectives:
        places = calls_named(objective.call, names) if objective.call else range(len(names))
        if objective.name == "failed_checks" and not any(plan.calls[place].checks for place in places):
            raise UsageError(f"{objective.text!r} needs --check")
        if objective.name == "failed_parts" and not any(
            ErrorReader(plan.calls[place].method.response_class, plan.error_fields) for place in places
        ):
            raise UsageError(f"{objective.text!r} needs answers with a field for errors: name it with --error-field")
        if objective.name in ("recall", "ndcg") and not plan.labels:
            raise UsageError(f"{objective.text!r} needs --qrels")
        if objective.name == "different" and not plan.reference_answers:
            raise UsageError(f"{objective.text!r} needs --check-answers")


def _target(options: argparse.Namespace, headers: Sequence[tuple[str, str]]) -> Target:
    return Target(
        address=options.target,
        tls=options.tls,
        ca_file=options.ca,
        certificate_file=options.cert,
        key_file=options.key,
        authority=options.authority,
        token=options.token,
        headers=tuple(headers),
        connections=options.connections,
        compression=options.compression,
        insecure_skip_verify=options.insecure_skip_verify,
    )


def _queries(options: argparse.Namespace) -> tuple[Query, ...]:
    if options.unique and options.queries is None:
        raise UsageError("--unique makes the queries of a file different: give --queries")
    if options.data_file is not None:
        if options.data is not None or options.queries is not None or options.mix is not None:
            raise UsageError("--data-file has whole payloads: remove --data, --queries and --mix")
        return tuple(read_payloads(options.data_file))
    return (Query("0", {}),) if options.queries is None else tuple(read_queries(options.queries))


def _check_answers(plan: Plan) -> None:
    """Raises UsageError if the answers of the plan's methods lack the fields that it reads."""
    responses = [call.method.response_class for call in plan.calls]
    check_paths(plan.error_fields or (), responses)
    if plan.labels and not any(AnswerReader(each).has_documents for each in responses):
        names = ", ".join(call.method.name for call in plan.calls)
        raise UsageError(f"--qrels needs answers that name documents, and those of {names} do not")
    if plan.labels and not any(query.id in plan.labels for query in plan.queries):
        raise UsageError("--qrels labels none of the queries: no query id occurs in both files")


def _error_fields(paths: list[str] | None) -> tuple[str, ...] | None:
    if paths is not None and NONE in paths:
        if len(paths) > 1:
            raise UsageError(f"--error-field {NONE} excludes other fields: give it alone")
        return ()
    return None if paths is None else tuple(paths)


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise UsageError(f"--header expects NAME:VALUE, not {text!r}")
    return name.strip(), value.strip()
