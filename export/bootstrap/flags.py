"""The flags of `python -m export bootstrap`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from export.bootstrap.checks.near import NEAR
from export.bootstrap.synthetic.kinds import KINDS
from export.bootstrap.synthetic.round_trip import TOP
from export.evaluation.runs import DEPTH
from export.options import OneLineParser, count
from export.places import Place, check_places
from server.encoding.cutting import add_cutting_flags
from server.programs import EXPORTER

MOST_QUERIES = 3

POOL_DEPTH = 10

EXAMPLES = f"""examples:
  {EXPORTER} bootstrap check --bundle build/bundle --catalogue services.jsonl
  {EXPORTER} bootstrap queries --bundle build/bundle --catalogue services.jsonl --out synthetic.jsonl
  {EXPORTER} bootstrap sheet --bundle build/bundle --catalogue services.jsonl --queries queries.txt --out sheet.csv
  {EXPORTER} bootstrap labels sheet.csv --catalogue services.jsonl --queries queries.txt --out labelled.jsonl"""


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Parses the command line; `task` is one of the options.

    Raises:
        SystemExit: A flag is invalid (code 2), or `--help` was given (code 0).
    """
    parser = OneLineParser(
        prog=f"{EXPORTER} bootstrap",
        description="Begin with a list of services and no queries: check the list, make queries, have them labelled.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=EXAMPLES,
        allow_abbrev=False,
    )
    tasks = parser.add_subparsers(dest="task", required=True, metavar="TASK")

    def add(name: str, help: str) -> argparse.ArgumentParser:
        return tasks.add_parser(name, help=help, description=help, allow_abbrev=False)

    check = add("check", "Find documents, titles and examples of a catalogue that make search worse.")
    _inputs(check)
    _check_flags(check)
    queries = add("queries", "Make queries from titles and texts, and keep those that find their document again.")
    _inputs(queries)
    _query_flags(queries)
    sheet = add("sheet", "Write the hits of queries to a CSV file in which people label them.")
    _inputs(sheet)
    _sheet_flags(sheet)
    labels = add("labels", "Turn filled sheets into labelled queries for `evaluate`.")
    _catalogue(labels)
    _label_flags(labels)
    options = parser.parse_args(arguments)
    _check_files(parser, options)
    return options


def _inputs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--bundle", type=Path, required=True, metavar="DIR", help="bundle to encode and search with")
    add_cutting_flags(parser)
    _catalogue(parser)


def _catalogue(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--catalogue", type=Path, required=True, metavar="FILE", help="documents in JSONL")


def _check_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--near",
        type=_cosine,
        default=NEAR,
        metavar="X",
        help="least cosine of the titles, and of the texts, of near duplicates (default: %(default)s)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the findings to this file")
    parser.add_argument("--strict", action="store_true", help="exit with code 1 if there is a finding")


def _query_flags(parser: argparse.ArgumentParser) -> None:
    _out(parser, "queries in JSONL")
    parser.add_argument(
        "--kinds",
        type=_kinds,
        default=tuple(KINDS),
        metavar="KINDS",
        help=f"kinds to make, separated by commas (default: all: {','.join(KINDS)})",
    )
    parser.add_argument(
        "--most",
        type=count,
        default=MOST_QUERIES,
        metavar="N",
        help="maximum queries of a kind for each title and text (default: %(default)s)",
    )
    parser.add_argument(
        "--top",
        type=_depth,
        default=TOP,
        metavar="N",
        help=f"keep queries that find their document among the first N hits, at most {DEPTH} (default: %(default)s)",
    )
    parser.add_argument(
        "--phrases",
        choices=("rules", "kiwi"),
        default="rules",
        help="how to find noun phrases of Korean texts; kiwi needs the package kiwipiepy (default: %(default)s)",
    )


def _sheet_flags(parser: argparse.ArgumentParser) -> None:
    _queries(parser)
    _out(parser, "sheet in CSV")
    parser.add_argument(
        "--depth",
        type=_depth,
        default=POOL_DEPTH,
        metavar="N",
        help=f"hits of DENSE, LEXICAL and HYBRID to label for each query, at most {DEPTH} (default: %(default)s)",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the order (default: %(default)s)")


def _label_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sheets", type=Path, nargs="+", metavar="SHEET", help="filled sheet; one from each person")
    _queries(parser)
    _out(parser, "labelled queries in JSONL")
    parser.add_argument("--partial", action="store_true", help="leave out queries that are not labelled completely")


def _queries(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--queries",
        type=Path,
        required=True,
        metavar="FILE",
        help="queries, one per line, or JSONL with the field query",
    )


def _out(parser: argparse.ArgumentParser, content: str) -> None:
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help=f"new file for the {content}; it must not exist"
    )


def _check_files(parser: OneLineParser, options: argparse.Namespace) -> None:
    sheets = [each.resolve() for each in getattr(options, "sheets", [])]
    if len(set(sheets)) < len(sheets):
        parser.error("the same sheet is named twice")

    def given(*names: str) -> list[Place]:
        return [(f"--{name}", getattr(options, name, None)) for name in names]

    read = [*given("bundle", "catalogue", "queries"), *(("SHEET", each) for each in sheets)]
    check_places(parser, written=given("out", "json"), read=read)


def _kinds(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in names:
        if name not in KINDS:
            raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(KINDS)}")
    return names


def _depth(text: str) -> int:
    if (number := count(text)) > DEPTH:
        raise argparse.ArgumentTypeError(f"expected at most {DEPTH}")
    return number


def _cosine(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError("expected a number above 0, at most 1")
    return value
