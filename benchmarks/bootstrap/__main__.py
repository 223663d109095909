"""Measures what each kind of synthetic queries is worth as example queries: `make bench-bootstrap`.

Documents have no example queries at first, as a bare list has none. Then they get the synthetic queries of one kind, or
of all, with and without the round trip, and real queries are searched. A line has R@1 and R@10, and their change with
its 95 % interval. For comparison, the last lines have queries of people as examples: those of the sample's catalogue,
or training queries of a set in BEIR's layout.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.bootstrap.measuring import MEASURES, MODES, Row, measured_rows
from benchmarks.bootstrap.sets import RealSet, beir_set, sample_set
from chaja import __version__
from export.bootstrap.synthetic.phrases import phrases_by_kiwi, phrases_by_rules
from export.errors import ExportError
from loadtest.environment import describe_environment
from sample.server_process import REPOSITORY
from server.closed_pipe import until_closed_pipe
from server.encoding.bundle import Bundle
from server.errors import StartError

COLUMNS = ("kind", "round trip", "queries", "documents", *(f"{mode.name} {k}" for mode in MODES for k in MEASURES))


def main() -> int:
    """Runs the benchmark; returns the exit code."""
    options = _parse()
    try:
        return _run(options)
    except (ExportError, StartError) as error:
        print(f"bench-bootstrap: error: {error}", file=sys.stderr)
        return 2


def _run(options: argparse.Namespace) -> int:
    environment = describe_environment(" ".join(sys.argv)) | {"chaja": __version__}
    print(environment)
    phrases = phrases_by_kiwi() if options.phrases == "kiwi" else phrases_by_rules
    results = []
    for real in _sets(options):
        for directory in options.bundle or [REPOSITORY / "build/bundle"]:
            bundle = Bundle(directory)
            rows = measured_rows(real, bundle, phrases=phrases, show=_shown(real, bundle.manifest.name))
            results += [{"set": real.name, "model": bundle.manifest.name, **row._asdict()} for row in rows]
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        content = {"environment": environment, "results": results}
        options.json.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0


def _sets(options: argparse.Namespace) -> Sequence[RealSet]:
    return [beir_set(each, options.split) for each in options.data or []] or [sample_set()]


def _shown(real: RealSet, model: str) -> Callable[[Row], None]:
    """Prints the head of a table; returns what prints its rows."""
    print(f"\n## {real.name}, {model}: {len(real.queries)} queries, {len(real.documents)} documents\n")
    print(f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|", flush=True)

    def show(row: Row) -> None:
        cells = [f"{each.value:.3f} {each.change_text}".strip() for each in row.figures]
        print(f"| {row.kind} | {row.round_trip} | {row.queries} | {row.documents} | {' | '.join(cells)} |", flush=True)

    return show


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bootstrap", description=__doc__)
    parser.add_argument("--bundle", type=Path, action="append", metavar="DIR", help="bundle; repeatable")
    parser.add_argument("--data", type=Path, action="append", metavar="DIR", help="set in BEIR's layout; repeatable")
    parser.add_argument("--split", default="test", help="split of --data to search for (default: %(default)s)")
    parser.add_argument("--phrases", choices=("rules", "kiwi"), default="rules", help="how to find Korean noun phrases")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all results to this file")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(until_closed_pipe(main))
