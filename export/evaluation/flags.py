"""The flags of `python -m export evaluate`."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from export.evaluation.systems.terms import SPLITS
from export.options import OneLineParser, count
from export.places import Place, beir_places, check_places
from server.encoding.cutting import add_cutting_flags
from server.programs import EXPORTER
from server.ranking.options import Mode

ALL = "all"

LABELS_PER_DOCUMENT = 10

WORST = 10

NONE = "none"

DEFAULT_BM25 = ("words", "bigrams")

EXAMPLES = f"""examples:
  {EXPORTER} evaluate --bundle build/bundle --catalogue services.jsonl --queries labelled.jsonl
  {EXPORTER} evaluate --bundle build/bundle --eval DIR --split test --labels train --json quality.json
  {EXPORTER} evaluate --server localhost:50051 --catalogue services.jsonl --queries labelled.jsonl"""


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Parses the command line; `modes` is one of the options.

    Raises:
        SystemExit: A flag is invalid (code 2), or `--help` was given (code 0).
    """
    parser = OneLineParser(
        prog=f"{EXPORTER} evaluate",
        description="Measure search on labelled queries: R@1, R@5, R@10, R@20, MRR@10 and nDCG@10.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=EXAMPLES,
        allow_abbrev=False,
    )
    _system_flags(parser.add_argument_group("systems"))
    _set_flags(parser.add_argument_group("documents and queries"))
    _report_flags(parser.add_argument_group("report"))
    options = parser.parse_args(arguments)
    _check(parser, options)
    options.modes = list(Mode) if options.mode == ALL else [Mode(options.mode)]
    return options


def _system_flags(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--bundle", type=Path, action="append", default=[], metavar="DIR", help="bundle; repeatable, to compare several"
    )
    add_cutting_flags(group, several=True)
    group.add_argument("--server", metavar="HOST:PORT", help="running server, which has the documents")
    group.add_argument("--tls", action="store_true", help="use TLS with the system's certificates")
    group.add_argument("--ca", type=Path, metavar="FILE", help="use TLS and trust these certificates")
    group.add_argument("--cert", type=Path, metavar="FILE", help="the client's certificate, for mutual TLS")
    group.add_argument("--key", type=Path, metavar="FILE", help="key of the client's certificate")
    group.add_argument(
        "--token",
        default=os.environ.get("CHAJA_TOKEN", ""),
        help="bearer token (default: environment variable CHAJA_TOKEN)",
    )
    group.add_argument(
        "--mode", choices=[ALL, *(mode.value for mode in Mode)], default=ALL, help="search mode (default: %(default)s)"
    )
    group.add_argument(
        "--model",
        metavar="MODEL",
        help="fp32 original of the bundle, to measure DENSE with: a directory, hub id or name",
    )
    group.add_argument(
        "--bm25",
        type=_kinds,
        default=DEFAULT_BM25,
        metavar="KINDS",
        help=f"kinds of terms to compare with by BM25, separated by commas, or none: {', '.join(SPLITS)} (default: "
        f"{','.join(DEFAULT_BM25)}); kiwi needs the package kiwipiepy",
    )
    group.add_argument("--document-model", metavar="MODEL", help="its second model, which encodes the documents")


def _set_flags(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--catalogue", type=Path, metavar="FILE", help="documents in JSONL; needs --queries")
    group.add_argument("--queries", type=Path, metavar="FILE", help="labelled queries in JSONL")
    group.add_argument("--eval", type=Path, metavar="DIR", help="documents and labelled queries in BEIR's layout")
    group.add_argument("--split", metavar="NAME", help="split of --eval (default: test, else dev, validation, train)")
    group.add_argument(
        "--dev",
        metavar="NAME",
        help="split of --eval, or file of labelled queries, that BM25 is tuned on (default: a dev split that is not "
        "reported, else a part of the labels or of train)",
    )
    group.add_argument(
        "--labels",
        metavar="NAME",
        help="split of --eval, or file of labelled queries, whose queries become example queries in further systems",
    )
    group.add_argument(
        "--labels-per-document",
        type=count,
        default=LABELS_PER_DOCUMENT,
        metavar="N",
        help="maximum labels of a document (default: %(default)s)",
    )
    group.add_argument("--eval-queries", type=count, metavar="N", help="maximum queries to report (default: all)")
    group.add_argument(
        "--eval-documents",
        type=count,
        metavar="N",
        help="maximum documents of --eval; those that answer the queries are always used (default: all)",
    )


def _report_flags(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--baseline",
        metavar="SYSTEM",
        help="system that the others are compared with (default: the best BM25 where it was tuned)",
    )
    group.add_argument("--json", type=Path, metavar="FILE", help="also write all figures to this file")
    group.add_argument("--html", type=Path, metavar="FILE", help="also write a page with charts to this file")
    group.add_argument(
        "--worst",
        type=int,
        default=WORST,
        metavar="N",
        help="worst queries of the best system to show (default: %(default)s)",
    )


def _check(parser: OneLineParser, options: argparse.Namespace) -> None:
    beside = [options.catalogue is not None, options.queries is not None]
    if any(beside) if options.eval is not None else not all(beside):
        parser.error("set --catalogue and --queries, or --eval")
    if options.worst < 0:
        parser.error("--worst is a number, 0 or more")
    if not options.bundle and options.server is None:
        parser.error("set --bundle or --server")
    if options.labels is not None and not options.bundle and not options.bm25:
        parser.error("--labels needs --bundle or --bm25: the documents of a server stay as they are")
    if options.server is None and (options.tls or options.ca or options.cert or options.key):
        parser.error("--tls, --ca, --cert and --key need --server")
    if (options.cert is None) != (options.key is None):
        parser.error("--cert and --key go together: set both or neither")
    if options.eval is None and (options.split or options.eval_documents):
        parser.error("--split and --eval-documents need --eval")
    check_places(
        parser,
        written=[("--json", options.json), ("--html", options.html)],
        read=[
            *judged_places(options),
            ("--dev", _file(options, options.dev)),
            *(("--bundle", each) for each in options.bundle),
        ],
    )
    if options.model is None and options.document_model is not None:
        parser.error("--document-model needs --model")
    if options.model is not None and len(options.bundle) != 1:
        parser.error("--model is the original of one --bundle")
    if len(set(options.bundle)) < len(options.bundle):
        parser.error("--bundle names the same directory twice")


def judged_places(options: argparse.Namespace) -> list[Place]:
    """Returns the files of documents and labelled queries that a command reads."""
    files: list[Place] = [("--catalogue", options.catalogue), ("--queries", options.queries)]
    return [*files, ("--labels", _file(options, options.labels)), *beir_places(options.eval)]


def _file(options: argparse.Namespace, name: str | None) -> str | None:
    """Returns the file of labelled queries; with --eval, the name is that of a split."""
    return name if options.eval is None else None


def _kinds(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    if names == (NONE,):
        return ()
    for name in names:
        if name not in SPLITS:
            raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(SPLITS)} and {NONE}")
    return names
