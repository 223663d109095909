"""Flags for the server, the requests and the load, and the plan that they make."""

import argparse
import asyncio
import math
import os
import re
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from loadtest.addresses import FORMS
from loadtest.analysis.objective import Objective
from loadtest.commands.calls import calls_of, try_payloads
from loadtest.commands.machines import workers_of
from loadtest.errors import UsageError
from loadtest.plan import Plan
from loadtest.programs import PROGRAM
from loadtest.reference import get_reference_answers
from loadtest.requests.answer import AnswerReader
from loadtest.requests.answer_errors import NONE, check_paths
from loadtest.requests.labels import read_labels
from loadtest.requests.queries import Query, read_payloads, read_queries, read_timestamps
from loadtest.requests.sampling import ORDERS
from loadtest.requests.unique import first_number
from loadtest.schedule import Schedule, constant, profile, ramp, replay, step
from loadtest.scrape import check_url
from loadtest.target import COMPRESSIONS, SECRET, Target

SCHEDULES = ("constant", "poisson", "ramp", "step", "replay")
SECRET_FLAGS = ("--token", "--header", "--metrics-token", "--worker-token")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|)")
_PART = re.compile(r"\s*(\d+(?:\.\d+)?)(?:-(\d+(?:\.\d+)?))?:(\d+(?:\.\d+)?)(ms|s|m|h)\s*")
_DURATION_UNITS = {"ms": 1e-3, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0}


def duration(text: str) -> float:
    """Returns the seconds of a duration such as `500ms`, `20s`, `2m` or `20`."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration; write for example 20s, 500ms or 2m")
    return float(match[1]) * _DURATION_UNITS[match[2]]


def add_target_options(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of the server."""
    add = parser.add_argument_group("the server").add_argument
    address = f"address of the server: {FORMS}; several, with commas between them, are used round-robin"
    add("target", metavar="HOST:PORT", help=address)
    add("--tls", action="store_true", help="use TLS with the system's certificates")
    add("--ca", type=Path, metavar="FILE", help="use TLS and trust these certificates")
    add("--cert", type=Path, metavar="FILE", help="the client's certificate, for mutual TLS")
    add("--key", type=Path, metavar="FILE", help="key of the client's certificate")
    skip = "use TLS and trust any certificate that is valid at this time, for any name: it is fetched before the run"
    add("--insecure-skip-verify", action="store_true", help=skip)
    add("--authority", default="", metavar="NAME", help="name to expect in the server's certificate")
    token = os.environ.get("CHAJA_TOKEN", "")
    add("--token", default=token, help="bearer token (default: environment variable CHAJA_TOKEN)")
    header = "metadata of every call, with placeholders as in --data; a -bin header takes base64; repeatable"
    add("--header", action="append", default=[], metavar="NAME:VALUE", help=header)
    add(
        "--connections",
        type=int,
        default=1,
        metavar="N",
        help="connections of each process to each address (default: 1)",
    )
    add("--compression", choices=COMPRESSIONS, default="", help="compress requests; answers may always be compressed")


def add_request_options(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of the requests."""
    add = parser.add_argument_group("the requests").add_argument
    add(
        "--call", default="Search", metavar="METHOD",
        help="method of chaja.v1, such as Search or Encode, or any package.Service/Method, described by the server's "
        "reflection or by --proto (default: Search)",
    )  # fmt: skip
    add(
        "--data",
        metavar="JSON",
        help="payload, or @FILE that has it; {{query}}, other fields of the query's row and functions such as {{uuid}} "
        "are replaced (default: the query in the field query, text, queries or texts)",
    )
    whole = "file of whole payloads, one per row: JSONL, a JSON array or CSV; replaces --data and --queries"
    add("--data-file", type=Path, metavar="FILE", help=whole)
    mix = "file of weighted calls with call, weight, data, queries_per_call, check; replaces --call"
    add("--mix", type=Path, metavar="FILE", help=mix)
    add("--proto", type=Path, metavar="FILE", help=".proto file that defines the method")
    protoset = "compiled .proto files that define the method: protoc --include_imports --descriptor_set_out=FILE"
    add("--protoset", type=Path, metavar="FILE", help=protoset)
    imports = "import folder of the .proto file"
    add("--import-path", type=Path, action="append", default=[], metavar="DIR", help=imports)
    queries = "queries: plain text, or JSONL, a JSON array or CSV with `query` or `text`, such as BEIR's"
    add("--queries", type=Path, metavar="FILE", help=queries)
    add("--order", choices=ORDERS, default="sequential", help="order of the queries (default: sequential)")
    unique = "end each query with another number: none repeats, so the server's cache of vectors answers none"
    add("--unique", action="store_true", help=unique)
    add("--zipf-exponent", type=float, default=1.0, metavar="S", help="skew of --order zipf (default: 1)")
    size = "queries per call, for methods that take a list or a stream (default: 1)"
    add("--queries-per-call", type=int, default=1, metavar="N", help=size)
    add("--deadline", type=duration, default=10.0, help="deadline of each call (default: 10s)")
    pause = "time between two messages of a stream of requests (default: 0s)"
    add("--message-interval", type=duration, default=0.0, metavar="DURATION", help=pause)
    longest = "end each stream after this, as the client, which is no error (default: the server ends it)"
    add("--stream-duration", type=duration, default=math.inf, metavar="DURATION", help=longest)
    add("--seed", type=int, default=0, help="seed of all random draws (default: 0)")
    labels = "relevance labels for recall and nDCG: BEIR's TSV, or JSONL with `relevant`"
    add("--qrels", type=Path, metavar="FILE", help=labels)
    add("--quality-at", type=int, default=10, metavar="K", help="k of recall@k and nDCG@k (default: 10)")
    condition = (
        "condition of a right answer, in CEL, such as 'size(hits) > 0' or 'hits[0].document_id == \"card-lost\"'; "
        "repeatable"
    )
    add("--check", dest="checks", action="append", default=[], metavar="EXPR", help=condition)
    check = "send each query alone first, and count the answers under load that differ from this reference answer"
    add("--check-answers", action="store_true", help=check)
    add(
        "--error-field", action="append", default=None, metavar="PATH",
        help="field of an answer that carries an error, such as results.error: the call then counts by the code of its "
        "first error; repeatable; `none` for no field (default: fields of the type or shape of google.rpc.Status, and "
        "those of chaja.v1)",
    )  # fmt: skip


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of the generator and of the metrics."""
    add = parser.add_argument_group("the generator").add_argument
    add("--warm-up", type=duration, default=1.0, help="uncounted time before the measured part (default: 1s)")
    add("--processes", type=int, default=1, metavar="N", help="worker processes of each machine (default: 1)")
    most = "open loop: drop and count requests above this many unanswered calls (default: 10000)"
    add("--max-in-flight", type=int, default=10_000, metavar="N", help=most)
    add("--late-after", type=duration, default=0.002, help="count a send as late after this (default: 2ms)")
    add("--metrics-url", default="", metavar="URL", help="scrape the server's metrics here once a second")
    token = os.environ.get("CHAJA_METRICS_TOKEN", "")
    bearer = "bearer token of the metrics (default: environment variable CHAJA_METRICS_TOKEN)"
    add("--metrics-token", default=token, metavar="TOKEN", help=bearer)


def add_schedule_options(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of the load."""
    add = parser.add_argument_group("the load").add_argument
    add("--rate", type=float, metavar="R", help="open loop: send this many requests a second")
    add("--in-flight", type=int, metavar="N", help="closed loop: keep this many calls in flight; replaces --rate")
    add("--schedule", choices=SCHEDULES, default="constant", help="schedule of the open loop (default: constant)")
    add("--rate-to", type=float, metavar="R", help="rate at the end of a ramp or of the last step")
    add("--steps", type=int, default=5, metavar="N", help="steps of --schedule step (default: 5)")
    parts = "rates and their durations: '10-100:30s,100:2m,100-10:30s' climbs, holds and falls; replaces --rate"
    add("--profile", metavar="LIST", help=parts)
    times = "times of a replay: one per line, or rows with `timestamp` (default: the --queries file)"
    add("--timestamps", type=Path, metavar="FILE", help=times)
    add("--replay-speed", type=float, default=1.0, metavar="X", help="speed of a replay; 1 is as recorded (default: 1)")
    add("--duration", type=duration, help="length of the measured part, such as 30s")
    add("--count", type=int, metavar="N", help="end the measured part after this many requests")


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
    target = Target(
        address=options.target,
        tls=options.tls,
        ca_file=options.ca,
        certificate_file=options.cert,
        key_file=options.key,
        authority=options.authority,
        token=options.token,
        headers=tuple(pair for pair in headers if "{{" not in pair[1]),
        connections=options.connections,
        compression=options.compression,
        insecure_skip_verify=options.insecure_skip_verify,
    )
    queries = [Query("0", {})]
    if options.data_file is not None:
        if options.data is not None or options.queries is not None or options.mix is not None:
            raise UsageError("--data-file has whole payloads: remove --data, --queries and --mix")
        queries = read_payloads(options.data_file)
    elif options.queries is not None:
        queries = read_queries(options.queries)
    if options.unique and options.queries is None:
        raise UsageError("--unique makes the queries of a file different: give --queries")
    plan = Plan(
        target=target,
        calls=asyncio.run(calls_of(options, target)),
        headers=tuple(pair for pair in headers if "{{" in pair[1]),
        queries=tuple(queries),
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
    try_payloads(plan)
    responses = [call.method.response_class for call in plan.calls]
    check_paths(plan.error_fields or (), responses)
    if plan.labels and not any(AnswerReader(each).has_documents for each in responses):
        names = ", ".join(call.method.name for call in plan.calls)
        raise UsageError(f"--qrels needs answers that name documents, and those of {names} do not")
    if plan.labels and not any(query.id in plan.labels for query in plan.queries):
        raise UsageError(f"{options.qrels} labels none of the queries: no query id occurs in both files")
    if plan.metrics_url:
        check_url(plan.metrics_url, token=plan.metrics_token)
    if options.check_answers:
        plan = replace(plan, reference_answers=asyncio.run(get_reference_answers(plan)))
    return plan


def _error_fields(paths: list[str] | None) -> tuple[str, ...] | None:
    if paths is not None and NONE in paths:
        if len(paths) > 1:
            raise UsageError(f"--error-field {NONE} excludes other fields: give it alone")
        return ()
    return None if paths is None else tuple(paths)


def make_schedule(options: argparse.Namespace) -> Schedule | None:
    """Returns the schedule of the flags; `None` for a closed loop.

    Raises:
        UsageError: Flags contradict each other.
    """
    if options.timestamps is not None and options.schedule != "replay":
        raise UsageError("--timestamps needs --schedule replay")
    if options.in_flight is not None:
        _check_closed(options)
        return None
    if options.profile is not None:
        return _profile(options)
    if options.rate_to is not None and options.schedule not in ("ramp", "step"):
        raise UsageError("--rate-to needs --schedule ramp or step")
    if options.schedule == "replay":
        if options.rate is not None:
            raise UsageError("a replay takes its rate from its timestamps: remove --rate")
        file = options.timestamps or options.queries
        if file is None:
            raise UsageError("a replay needs --timestamps, or --queries with timestamps")
        return replay(read_timestamps(file), speed=options.replay_speed)
    if options.rate is None:
        raise UsageError("give --rate or --profile (open loop), or --in-flight (closed loop)")
    if options.schedule in ("ramp", "step"):
        if options.rate_to is None or options.duration is None:
            raise UsageError(f"a {options.schedule} needs --rate-to and --duration")
        if options.schedule == "ramp":
            return ramp(options.rate, options.rate_to, seconds=options.duration, warm_up_seconds=options.warm_up)
        steps, warm_up = options.steps, options.warm_up
        return step(options.rate, options.rate_to, steps=steps, seconds=options.duration, warm_up_seconds=warm_up)
    return constant(
        options.rate,
        seconds=options.duration or math.inf,
        warm_up_seconds=options.warm_up,
        poisson=options.schedule == "poisson",
        seed=options.seed,
    )


def _check_closed(options: argparse.Namespace) -> None:
    if options.rate is not None:
        raise UsageError("--rate is for an open loop and --in-flight for a closed loop: give one of them")
    if options.schedule != "constant" or options.rate_to is not None or options.profile is not None:
        raise UsageError("a closed loop has no schedule: remove --schedule, --rate-to and --profile")


def _profile(options: argparse.Namespace) -> Schedule:
    """Returns the schedule of `--profile`."""
    if options.rate is not None or options.rate_to is not None or options.duration is not None:
        raise UsageError("a profile has its rates and durations: remove --rate, --rate-to and --duration")
    if options.schedule not in ("constant", "poisson"):
        raise UsageError(f"a profile replaces --schedule {options.schedule}: remove one of them")
    parts = []
    for text in options.profile.split(","):
        found = _PART.fullmatch(text)
        if found is None:
            raise UsageError(f"--profile: {text!r} is no rate and duration; write for example 100:30s or 10-100:1m")
        seconds = float(found[3]) * _DURATION_UNITS[found[4]]
        parts.append((float(found[1]), float(found[2] or found[1]), seconds))
    poisson = options.schedule == "poisson"
    return profile(parts, warm_up_seconds=options.warm_up, poisson=poisson, seed=options.seed)


def command_line(arguments: list[str]) -> str:
    """Returns the command line for reports, with secrets hidden."""
    shown, hide = [], False
    for argument in arguments:
        flag, equals, _ = argument.partition("=")
        secret = flag in SECRET_FLAGS
        shown.append(SECRET if hide else f"{flag}={SECRET}" if secret and equals else argument)
        hide = secret and not equals
    line = f"{PROGRAM} {shlex.join(shown)}"
    return line.encode(errors="replace").decode()  # A path may have bytes that are no text.


def check_measurable(objectives: Sequence[Objective], options: argparse.Namespace) -> None:
    """Raises UsageError if an objective needs a figure that these flags do not measure."""
    for objective in objectives:
        if objective.name in ("recall", "ndcg") and options.qrels is None:
            raise UsageError(f"{objective.text!r} needs --qrels")
        if objective.name == "different" and not options.check_answers:
            raise UsageError(f"{objective.text!r} needs --check-answers")


def measured_seconds(options: argparse.Namespace, schedule: Schedule | None) -> float:
    """Returns the length of the measured part in seconds; infinite if only a count ends it."""
    if schedule is not None and schedule.timestamps:
        # The measured part includes the last timestamp.
        return min(options.duration or math.inf, math.nextafter(schedule.seconds, math.inf) or 1e-9)
    if options.profile is not None and schedule is not None:
        return schedule.seconds
    return math.inf if options.duration is None else float(options.duration)


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise UsageError(f"--header expects NAME:VALUE, not {text!r}")
    return name.strip(), value.strip()
