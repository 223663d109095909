"""Flags for the server, the requests and the generator."""

import argparse
import math
import os
import re
import shlex
from pathlib import Path

from loadtest.addresses import FORMS
from loadtest.programs import PROGRAM
from loadtest.requests.sampling import ORDERS
from loadtest.target import COMPRESSIONS, SECRET

SECRET_FLAGS = ("--token", "--header", "--metrics-token", "--worker-token")
UNIT_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_NUMBER = r"\d+(?:\.\d+)?"
_PART = re.compile(rf"({_NUMBER})({'|'.join(UNIT_SECONDS)})")


def duration(text: str) -> float:
    """Returns the seconds of a duration such as `500ms`, `20s`, `1m30s` or `20`."""
    if re.fullmatch(_NUMBER, text):
        return float(text)
    if not text or _PART.sub("", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a duration; write, for example, 20s, 500ms or 1m30s")
    return math.fsum(float(number) * UNIT_SECONDS[unit] for number, unit in _PART.findall(text))


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
        "reflection, by --proto or by --protoset (default: Search)",
    )  # fmt: skip
    add(
        "--data",
        metavar="JSON",
        help="payload, or @FILE that has it (@- for standard input); {{query}}, other fields of the query's row and "
        "functions such as {{uuid}} are replaced (default: the query in the field query, text, queries or texts)",
    )
    whole = "file of whole payloads, one per row: JSONL, a JSON array or CSV; replaces --data and --queries"
    add("--data-file", type=Path, metavar="FILE", help=whole)
    mix = "file of weighted calls with call, name, weight, data, queries_per_call, check, headers; replaces --call"
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
    add("--deadline", type=duration, metavar="DURATION", default=10.0, help="deadline of each call (default: 10s)")
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
    uncounted = "uncounted time before the measured part (default: 1s)"
    add("--warm-up", type=duration, metavar="DURATION", default=1.0, help=uncounted)
    add("--processes", type=int, default=1, metavar="N", help="worker processes of each machine (default: 1)")
    most = "open loop: drop and count requests above this many unanswered calls (default: 10000)"
    add("--max-in-flight", type=int, default=10_000, metavar="N", help=most)
    late = "count a send as late after this (default: 2ms)"
    add("--late-after", type=duration, metavar="DURATION", default=0.002, help=late)
    add("--metrics-url", default="", metavar="URL", help="scrape the server's metrics here once a second")
    token = os.environ.get("CHAJA_METRICS_TOKEN", "")
    bearer = "bearer token of the metrics (default: environment variable CHAJA_METRICS_TOKEN)"
    add("--metrics-token", default=token, metavar="TOKEN", help=bearer)


def command_line(arguments: list[str]) -> str:
    """Returns the command line for reports, with secrets hidden."""
    shown, hide = [], False
    for argument in arguments:
        flag, equals, _ = argument.partition("=")
        secret = flag in SECRET_FLAGS
        shown.append(SECRET if hide else f"{flag}={SECRET}" if secret and equals else argument)
        hide = secret and not equals
    line = f"{PROGRAM} {shlex.join(shown)}"
    return line.encode(errors="replace").decode()  # A path may have bytes that are not text.
